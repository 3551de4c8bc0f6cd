"""Writes requirements/*.lock: every package of an extra as constraints.txt pins it, with the hashes of its wheels.

``python -m deploy.lock``, which `make lock` runs, asks the index that pip is set up with. Linux on x86-64 and the
Pythons below: what the images of the Dockerfile run on, and what CI does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
LOCKS = {
    "web": {"web", "parquet", "traces"},
    "worker": {"worker", "parquet", "traces"},
    "flower": {"flower"},
    "local": {"local", "traces"},
}
"""What is locked: file, extras."""

PYTHONS = ("3.11", "3.12")
PLATFORMS = (
    *(f"manylinux_2_{glibc}_x86_64" for glibc in (28, 27, 24, 17, 12, 5)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
)

HEAD = """\
# emobatch[{extras}] on Linux, x86-64, CPython {pythons}. Made by `make lock` from pyproject.toml and constraints.txt.
#   pip install --require-hashes -r requirements/{name}.lock
"""


def normal(name: str) -> str:
    """A package's name as all indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extras: set[str]) -> set[str]:
    """Names of what these extras bring in: ours by pyproject.toml, the others by the metadata of what is installed."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [("emobatch", frozenset(extras))]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            requires = _ours(wanted) if name == "emobatch" else distribution(name).requires or []
        except PackageNotFoundError:
            continue  # for another platform
        if name != "emobatch":
            found.add(name)
        for text in requires:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                todo.append((normal(needed.name), frozenset(needed.extras)))
    return found


def _ours(extras: frozenset[str]) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["dependencies"] + [text for extra in extras for text in project["optional-dependencies"][extra]]


def pins() -> dict[str, str]:
    """Versions, by name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): version for name, version in pairs}


def locked() -> dict[tuple[str, str], set[str]]:
    """Hashes that the locks have already, by name and version: a version's files never change."""
    found: dict[tuple[str, str], set[str]] = {}
    for lock in FOLDER.glob("*.lock"):
        for name, version, rest in re.findall(r"^(\S+)==(\S+)((?: \\\n +--hash=\S+)+)", lock.read_text(), re.MULTILINE):
            found.setdefault((name, version), set()).update(re.findall(r"sha256:(\w+)", rest))
    return found


def hashes(wanted: dict[str, str]) -> dict[str, set[str]]:
    """SHA-256 of the wheel that pip would take of each, on each Python."""
    found: dict[str, set[str]] = {name: set() for name in wanted}
    if not wanted:
        return found
    for python in PYTHONS:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run"),
                    *("--ignore-installed", "--no-deps", "--only-binary", ":all:", "--target", folder),
                    *("--python-version", python, "--implementation", "cp", *platforms, "--report", str(report)),
                    *(f"{name}=={version}" for name, version in wanted.items()),
                ],
                check=True,
            )
            for taken in json.loads(report.read_text())["install"]:
                found[normal(taken["metadata"]["name"])].add(taken["download_info"]["archive_info"]["hashes"]["sha256"])
    return found


def main() -> None:
    """Writes all of them."""
    pinned = pins()
    sets = {name: sorted(closure(extras)) for name, extras in LOCKS.items()}
    wanted = {package: pinned[package] for package in sorted(set().union(*sets.values()))}
    known = {name: found for (name, version), found in locked().items() if wanted.get(name) == version}
    known |= hashes({name: version for name, version in wanted.items() if name not in known})
    FOLDER.mkdir(exist_ok=True)
    for name, packages in sets.items():
        lines = [
            f"{package}=={pinned[package]}" + "".join(f" \\\n    --hash=sha256:{one}" for one in sorted(known[package]))
            for package in packages
        ]
        head = HEAD.format(extras=",".join(sorted(LOCKS[name])), pythons=" and ".join(PYTHONS), name=name)
        (FOLDER / f"{name}.lock").write_text(head + "\n".join(lines) + "\n")
        print(f"Wrote requirements/{name}.lock, {len(packages)} packages")


if __name__ == "__main__":
    main()
