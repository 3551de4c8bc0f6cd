"""docs/settings.md, made from the settings object: names, defaults and reasons stand once, in `core/settings.py`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

import core.settings
from core.settings import Settings, variable
from tests.documents.extract import ROOT

PAGE = ROOT / "docs" / "settings.md"

HEAD = """\
# Settings

Every setting is an environment variable, read once as a process starts. Made from `core/settings.py` by `make docs`.

Any of them may come in a file instead, as Docker and Kubernetes hand out secrets: `NAME_FILE` names the file that holds
`NAME`. Numbers of bytes and seconds are plain numbers.
"""

TAIL = """
## What other libraries read

| variable | what it does |
|---|---|
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | credentials of an `s3://` storage; also with `_FILE` |
| `AWS_REGION` | its region |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | where traces go; with it unset none are made ([monitoring](monitoring.md#traces)) |
| `PROMETHEUS_MULTIPROC_DIR` | the folder in which a parent's children keep their metrics; made if not set |
| `EMOBATCH_HOME` | the data directory of the local stack |
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for title, names in _sections():
        lines += [f"## {title[0].upper()}{title[1:]}", "", "| variable | default | what it is |", "|---|---|---|"]
        for name, says in names:
            field = Settings.model_fields[name]
            lines.append(f"| `{variable(name, field)}` | {_default(field.default)} | {says} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n" + TAIL


def _sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Titles, as the comments between the fields say them, with the fields below and what is said of each."""
    source = inspect.getsource(core.settings)
    titles = {at: found[1] for at, line in enumerate(source.splitlines(), 1) if (found := _TITLE.match(line))}
    (settings,) = [
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    fields: list[tuple[int, str, str]] = []
    for node, after in zip(settings.body, [*settings.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            says = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            fields.append((node.lineno, node.target.id, _cell(str(says))))
    bounds = [*sorted(titles), len(source)]
    for begin, end in pairwise(bounds):
        yield titles[begin], [(name, says) for line, name, says in fields if begin < line < end]


_TITLE = re.compile(r"    # --- (.+?) -+$")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "must be set"
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if value in (None, ""):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"
