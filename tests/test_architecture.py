"""The house rules that a machine can hold: who imports whom, and what each installation needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml

import core.models  # noqa: F401 - the tables are known by it
from core.tables import Base
from tests.documents import settings_page

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


def test_what_reports_its_use_is_imported_mute():
    """See `worker.engine.mute`, which imports them by name."""
    talkative = {"onnxruntime", "openvino", "openvino_telemetry"}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*modules(), *(ROOT / "tests").rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name.split(".")[0] in talkative
    ]
    assert found == []


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


# --- docs/architecture.md: its drawing is the code's own ----------------------------------------------------------

PAGE = (ROOT / "docs" / "architecture.md").read_text()
(DRAWING,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
ROOT_PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def part(name: str) -> str:
    """What stands in one subgraph."""
    return re.search(rf"subgraph {name} \[.*?\]\n(.*?)\n    end", DRAWING, re.DOTALL)[1]


def test_packages_and_who_imports_whom():
    graph = grimp.build_graph(*ROOT_PACKAGES)
    imports = {
        (importer, imported)
        for importer in ROOT_PACKAGES
        for imported in ROOT_PACKAGES
        if importer != imported and graph.find_shortest_chains(importer, imported)
    }
    assert set(re.findall(r"(\w+) --> (\w+)", part("packages"))) == imports
    assert {name for edge in imports for name in edge} == set(ROOT_PACKAGES), "a package that stands alone"


def test_processes_are_the_services_that_are_built_here():
    drawn = dict(re.findall(r"s-([\w-]+)\(\[.*?\]\) -\.-> (\w+)", part("processes")))
    runs = {}
    for name, service in SERVICES.items():
        if "build" in service:
            said = [*service.get("entrypoint", []), *service["command"]]
            modules = [word.split(":")[0].split(".")[0] for word in said if re.match(r"\w+\.\w+", word)]
            runs[name] = next(module for module in modules if module in ROOT_PACKAGES)
    assert drawn == runs


def test_servers_are_the_services_that_are_not():
    drawn = set(re.findall(r"s-([\w-]+)\[\(", part("servers")))
    assert drawn == {name for name, service in SERVICES.items() if "image" in service} - {"storage-bucket"}


def test_tables_are_all_there():
    drawn = " ".join(re.findall(r"\[(.*?)\]", part("tables"))).split()
    assert sorted(drawn) == sorted(Base.metadata.tables), "draw it in docs/architecture.md, among the tables"


def test_arrows_lead_from_and_to_what_is_drawn():
    nodes = set(re.findall(r"(s-[\w-]+)[\[(]", DRAWING))
    for begin, end in re.findall(r"(s-[\w-]+) ==.*?==> (s-[\w-]+)", DRAWING):
        assert {begin, end} <= nodes


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:core|web|worker|tests|emobatch)/[\w/.]+)`", PAGE))))
def test_a_file_that_is_named_exists(path):
    assert (ROOT / path).exists()


def test_the_settings_page_is_in_step():
    assert settings_page.page() == settings_page.PAGE.read_text(), "run `python -m tests.documents` (`make docs`)"
