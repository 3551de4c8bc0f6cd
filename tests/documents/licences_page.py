"""docs/licences.md: what is installed with emobatch and under which licence, as the packages themselves say.

Only what users get: the extras ``local``, ``gpu`` and ``flower``, on the platform where this is made (Linux, x86-64).
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution

from deploy.lock import closure, normal
from tests.documents.extract import ROOT

PAGE = ROOT / "docs" / "licences.md"
EXTRAS = ("core", "web", "worker", "local", "gpu", "flower", "traces")

OF_PYTHON = {"pip", "setuptools"}
"""They come with an environment, in whatever version."""

HEAD = """\
# Licences of what is installed with emobatch

emobatch is under Apache-2.0. No file of others lies in its repository; these packages are installed beside it, each
under its own licence. Made from their own metadata by `make docs`, for Linux on x86-64; `make sbom` writes the same as
CycloneDX. Model and data: see the card in `models/emobatch-distilbert-3x384`.

| package | version | licence |
|---|---|---|
"""

# Said nowhere in the package's metadata in a form that a program can read; looked up in its LICENSE file.
BY_HAND: dict[str, str] = {}

_SHORT = {
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "The MIT License": "MIT",
    "BSD License": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "Python Software Foundation License": "PSF-2.0",
}


def page() -> str:
    """The whole page."""
    rows = [f"| {found.name} | {found.version.partition('+')[0]} | {licence(found)} |" for found in installed()]
    return HEAD + "\n".join(rows) + "\n"


def installed() -> list[Distribution]:
    """Every package that the extras bring in, by name."""
    return [distribution(name) for name in sorted(closure(set(EXTRAS)) - OF_PYTHON) if is_here(name)]


def is_here(name: str) -> bool:
    """Whether it is installed; what is for another platform is not."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def licence(package: Distribution) -> str:
    """What a package says of its licence: an SPDX expression, a short text, or its classifiers."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return expression
    if by_hand := BY_HAND.get(normal(package.name)):
        return by_hand
    kinds = [kind.rpartition(" :: ")[2] for kind in said.get_all("Classifier", []) if kind.startswith("License :: ")]
    kinds = [_SHORT.get(kind, kind) for kind in kinds if kind != "OSI Approved"]
    plain = (said.get("License") or "").strip()
    if kinds:
        return ", ".join(sorted(set(kinds)))
    return _SHORT.get(plain, plain) if plain and "\n" not in plain and len(plain) < 80 else "unknown"
