"""Answers for the OpenAPI document, as a live server gave them: ``python -m tests.contract.examples``.

They are written to ``web/openapi_examples.json``. Long lists and tables are cut, secrets and this machine taken out.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import httpx

from tests.contract.live import GROUPS, HOOK, fill, serve
from web.openapi_examples import BINARY, PATH

LONGEST_LIST = 2
MOST_COUNTS = 8
"""Of a table of numbers by name: of a longer one three are shown."""
LONGEST_TEXT = 600
"""Characters of a text file, cut at the end of a line."""

TUS = {"Tus-Resumable": "1.0.0"}


def main() -> None:
    """Asks for everything once and writes it down."""
    with serve() as live:
        document = live.make("GET", "/openapi.json")
        parts = fill(live)
        found: dict[str, Any] = {}
        failed = live.ask("GET", f"/jobs/{parts['job_id']}/failed.csv").content
        for method, path, status, request in course(failed):
            where = re.sub(r"{(\w+)}", lambda part: parts[part[1]], path)
            answer = live.ask(method, where, **request)
            if answer.status_code != status:
                sys.exit(f"{method} {where}: {answer.status_code} instead of {status}: {answer.text[:500]}")
            if is_text(answer):
                found[f"{method} /api/v1{path} {status}"] = shown(answer)
    described = {f"{m.upper()} {path}" for path, operations in document["paths"].items() for m in operations}
    strangers = {key.rpartition(" ")[0] for key in found} - described
    if strangers:
        sys.exit(f"The document does not know: {', '.join(sorted(strangers))}.")
    PATH.write_text(json.dumps(dict(sorted(found.items())), indent=1, ensure_ascii=False) + "\n")


def course(failed: bytes) -> list[tuple[str, str, int, dict[str, Any]]]:
    """Method, path, the status it is to have, and the rest of the request; what takes something away comes last."""
    csv = {"headers": {"Content-Type": "text/csv"}}
    job, hook = "/jobs/{job_id}", "/webhooks/{webhook_id}"
    files = ["results.csv", "results.jsonl", "failed.csv", "corrections.csv", "corrections.tsv", "corrections.toml"]
    return [
        ("GET", "/health", 200, {}),
        ("GET", "/ready", 200, {}),
        ("GET", "/account", 200, {}),
        ("GET", "/keys", 200, {}),
        ("POST", "/keys", 201, {"json": {"name": "nightly"}}),
        ("GET", "/models", 200, {}),
        ("POST", "/jobs", 202, {**csv, "content": b"id,text\n1,I love this!\n", "params": {"filename": "reviews.csv"}}),
        ("GET", "/jobs", 200, {"params": {"limit": 1}}),
        ("GET", job, 200, {}),
        ("GET", job + "/rows", 200, {"params": {"limit": 2}}),
        ("GET", job + "/rows/{row}", 200, {}),
        ("GET", job + "/rows/{row}/words", 200, {}),
        ("GET", job + "/summary", 200, {"params": {"examples": "yes"}}),
        ("GET", job + "/summary.md", 200, {}),
        ("GET", job + "/summary/{chart}.csv", 200, {}),
        ("GET", job + "/summary/{chart}.svg", 200, {}),
        *(("GET", f"{job}/{name}", 200, {}) for name in files),
        ("GET", job + "/results.csv", 206, {"headers": {"Range": "bytes=0-199"}}),
        ("GET", job + "/results.jsonl", 206, {"headers": {"Range": "bytes=0-299"}}),
        ("GET", job + "/compare/{other_id}", 200, {}),
        ("GET", job + "/compare/{other_id}/changes.csv", 200, {}),
        ("POST", job + "/again", 202, {}),
        ("GET", job + "/review", 200, {}),
        ("POST", job + "/review", 200, {"json": {"size": 70}}),
        ("GET", job + "/review/rows", 200, {"params": {"limit": 2}}),
        ("GET", job + "/review/results", 200, {}),
        ("GET", job + "/corrections", 200, {"params": {"limit": 2}}),
        ("PUT", job + "/corrections/{row}", 200, {"json": {"labels": ["sadness"]}}),
        ("GET", "/taxonomies", 200, {}),
        ("POST", "/taxonomies", 201, {"json": {"name": "tempers", "groups": GROUPS}}),
        ("GET", "/taxonomies/{name}", 200, {}),
        ("PUT", "/taxonomies/{name}", 200, {"json": {"groups": GROUPS}}),
        ("GET", "/webhooks", 200, {}),
        ("POST", "/webhooks", 201, {"json": {"url": HOOK}}),
        ("GET", hook, 200, {}),
        ("POST", hook + "/rotate", 200, {}),
        ("POST", hook + "/enable", 200, {}),
        ("POST", hook + "/test", 202, {}),
        ("GET", hook + "/deliveries", 200, {"params": {"limit": 2}}),
        ("POST", "/deliveries/{delivery_id}/again", 202, {}),
        ("GET", "/uploads/{upload_id}", 200, {}),
        ("PATCH", "/uploads/{upload_id}", 204, piece(b"text\nWow!")),
        ("POST", "/uploads/{upload_id}/complete", 202, {}),
        ("POST", job + "/fixed", 202, {**csv, "content": failed}),
        ("POST", job + "/cancel", 200, {}),
        ("DELETE", "/keys/{key_id}", 200, {}),
        ("DELETE", job, 200, {}),
    ]


def piece(data: bytes) -> dict[str, Any]:
    """A piece of a file, as tus sends it."""
    return {"content": data, "headers": TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}}


def is_text(answer: httpx.Response) -> bool:
    """Whether its body can be shown."""
    return bool(answer.content) and answer.headers.get("Content-Type", "").partition(";")[0] not in BINARY


def shown(answer: httpx.Response) -> Any:
    """A body as the document shows it."""
    if "json" in answer.headers["Content-Type"] and "jsonl" not in answer.headers["Content-Type"]:
        return short(json.loads(clean(answer.text)))
    text = clean(answer.text)
    return text if len(text) <= LONGEST_TEXT else text[: text.rfind("\n", 0, LONGEST_TEXT) + 1] or text[:LONGEST_TEXT]


def short(value: Any) -> Any:
    """With long lists and tables cut."""
    if isinstance(value, list):
        return [short(one) for one in value[:LONGEST_LIST]]
    if not isinstance(value, dict):
        return value
    if len(value) > MOST_COUNTS and all(isinstance(one, int | float) for one in value.values()):
        return dict(list(value.items())[:3])
    return {name: short(one) for name, one in value.items()}


def clean(text: str) -> str:
    """Without secrets, and with the address of somebody else's receiver."""
    text = re.sub(r"whsec_[\w+/=]+", "whsec_…", text)
    text = re.sub(r"(emo_[0-9a-f]+_)[\w-]+", r"\1…", text)
    return text.replace(HOOK, "https://example.org/hook")


if __name__ == "__main__":
    main()
