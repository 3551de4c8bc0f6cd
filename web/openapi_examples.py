"""An example of every body in the OpenAPI document: what goes in is written here, what comes out was recorded.

`python -m tests.contract.examples` asks a live server for everything and writes ``openapi_examples.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_suffix(".json")

BINARY = frozenset(
    {"application/vnd.apache.parquet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
)
"""Of these an example would be bytes that nobody can read."""

_CSV = "id,text\n1,I love this!\n2,Where is my parcel?\n"
_FIXED = "row_number,id,text\n3,3,It came today and I could not be happier\n"

_SENT: dict[str, Any] = {
    "POST /api/v1/jobs text/csv": _CSV,
    "POST /api/v1/jobs multipart/form-data": {"file": _CSV, "filename": "reviews.csv", "text_column": "text"},
    "POST /api/v1/jobs/{job_id}/fixed text/csv": _FIXED,
    "POST /api/v1/jobs/{job_id}/fixed multipart/form-data": {"file": _FIXED, "filename": "fixed.csv"},
    "POST /api/v1/preview text/csv": _CSV,
    "POST /api/v1/uploads application/offset+octet-stream": _CSV,
    "PATCH /api/v1/uploads/{upload_id} application/offset+octet-stream": _CSV,
}

_LIKE = {
    "GET /api/v1/jobs/{job_id}/summary 202": "GET /api/v1/jobs/{job_id}/summary 200",
    "POST /api/v1/jobs/{job_id}/review 200": "GET /api/v1/jobs/{job_id}/review 200",
    "DELETE /api/v1/jobs/{job_id}/review/rows/{row} 200": "GET /api/v1/jobs/{job_id}/review 200",
}
"""Answers of the same kind."""

_OTHERS: dict[str, Any] = {
    "GET /api/v1/ready 503": {
        "status": "not ready",
        "parts": {"database": "ok", "storage": "ok", "redis": "The broker does not answer."},
    },
    "PUT /api/v1/jobs/{job_id}/review/rows/{row} 200": {
        **{"row": 7, "verdict": "labelled", "labels": ["joy"], "said": "neutral", "said_score": 0.5132}
    },
}

PROBLEMS: dict[str, dict[str, Any]] = {
    "400": {"code": "upload_broke_off", "detail": "The body ended before its end."},
    "401": {"code": "not_signed_in", "detail": "No valid token, API key or session."},
    "403": {"code": "not_allowed", "detail": "This key may only read."},
    "404": {"code": "not_found", "detail": "There is no such job."},
    "409": {"code": "not_ready", "detail": "The job is not finished.", "next_step": "Wait for it."},
    "412": {"code": "precondition_failed", "detail": "The header `Tus-Resumable: 1.0.0` is missing."},
    "413": {"code": "content_too_large", "detail": "The request is larger than 65,536 bytes.", "limit": "body_bytes"},
    "415": {"code": "unsupported_media_type", "detail": "Send the bytes as application/offset+octet-stream."},
    "422": {
        "code": "bad_option",
        "detail": "threshold must be a number from 0 to 1, or auto.",
        "next_step": "The options are described at /api/v1/openapi.json.",
    },
    "423": {"code": "locked", "detail": "Another request is writing to this upload."},
    "429": {"code": "too_many", "detail": "Too many requests.", "limit": "requests_a_minute", "retry_after_s": 12},
    "460": {"code": "checksum_mismatch", "detail": "The bytes have not the checksum they came with."},
    "503": {"code": "unavailable", "detail": "No worker answered.", "next_step": "Try again in a few seconds."},
}
"""By status, what is special of it."""


def describe(paths: dict[str, Any]) -> None:
    """Adds them to every body that has none of its own, in place."""
    recorded: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
    answers = _OTHERS | {key: recorded[like] for key, like in _LIKE.items() if like in recorded} | recorded
    for path, operations in paths.items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                _add(body, _SENT.get(f"{name} {kind}"))
            for status, answer in operation["responses"].items():
                for body in answer.get("content", {}).values():
                    _add(body, answers.get(f"{name} {status}"))


def _add(body: dict[str, Any], example: Any) -> None:
    if example is not None:
        body["example"] = example
