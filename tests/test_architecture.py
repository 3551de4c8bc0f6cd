"""The house rules that a machine can hold: who imports whom, and what each installation needs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["core", "web", "worker", "emobatch", "migrations", "training", "benchmarks"]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_import_rules_hold():
    ran = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def imported_by(module: str, forbidden: list[str]) -> str:
    """Imports a module in a process where the forbidden ones cannot be imported; what it said if that failed."""
    block = "".join(f"sys.modules[{name!r}] = None\n" for name in forbidden)
    code = f"import sys\n{block}import {module}\n"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stderr


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("web.app", ["torch", "transformers", "onnxruntime", "onnx", "tokenizers"]),
        ("worker.shift, worker.engine", ["torch", "transformers", "flask", "safetensors"]),
        ("emobatch.client, emobatch.cli", ["flask", "sqlalchemy", "psycopg", "celery", "numpy", "torch", "pydantic"]),
        ("core.ledger, core.results, core.uploads", ["flask", "torch", "onnxruntime"]),
    ],
)
def test_a_part_imports_without_what_it_does_not_need(module, forbidden):
    assert imported_by(module, forbidden) == ""


def requirements(extra: str) -> set[str]:
    """Names of what an extra installs, with the extras it is made of."""
    names = set()
    for requirement in EXTRAS["optional-dependencies"][extra]:
        name = requirement.split(">")[0].split("=")[0].split("<")[0]
        if name.startswith("emobatch["):
            for inner in name.removeprefix("emobatch[").rstrip("]").split(","):
                names |= requirements(inner)
        else:
            names.add(name.split("[")[0])
    return names


def test_web_installs_no_model_runtime():
    assert not requirements("web") & {"torch", "transformers", "onnxruntime", "onnx", "tokenizers"}


def test_a_cpu_worker_installs_no_torch_and_no_web():
    assert not requirements("worker") & {"torch", "transformers", "apiflask", "gunicorn"}
    assert {"onnxruntime", "onnx", "tokenizers"} <= requirements("worker")


def test_the_client_installs_no_server():
    names = {requirement.split(">")[0] for requirement in EXTRAS["dependencies"]}
    assert names == {"click", "rich", "httpx", "platformdirs"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_says_why_it_exists(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 320, "look for the second noun"
    if source.strip() and "versions" not in path.parts:
        assert ast.get_docstring(ast.parse(source)), "a module opens with why it exists"
