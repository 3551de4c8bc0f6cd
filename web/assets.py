"""Styles and scripts from the wheels that carry them: nothing is vendored, nothing comes from another server."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask
from flask_bootstrap import Bootstrap5

WEEK_S = 7 * 24 * 3600

OWN = Path(__file__).parent / "static"


def install(app: Flask) -> None:
    """Serves them under ``/static``, with the versions in the address so that browsers may keep them."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = WEEK_S
    Bootstrap5(app)
    app.register_blueprint(_folder("htmx", _package("js_lib_htmx") / "static" / "htmx"))
    mark = _mark()

    @app.url_defaults
    def add_mark(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" or endpoint.endswith(".static"):
            values.setdefault("v", mark)


def _folder(name: str, folder: Path) -> Blueprint:
    return Blueprint(name, __name__, static_folder=folder, static_url_path=f"/static/{name}")


def _package(name: str) -> Path:
    """Where a package lies. It is not imported: only its files are of use, and its code wants more packages."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"The package {name} is not installed: install emobatch[web].")
    return Path(spec.submodule_search_locations[0])


def _mark() -> str:
    """Changes whenever one of the served files may have."""
    digest = hashlib.sha256()
    for package in ("bootstrap-flask", "django-js-lib-htmx"):
        digest.update(version(package).encode())
    for path in sorted(OWN.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
