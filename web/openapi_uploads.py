"""The part of the OpenAPI document that is tus: headers in and out, bodies that are bytes, statuses of its own."""

from __future__ import annotations

from typing import Any

from web.tus import ALGORITHMS, BODY, VERSION

PATH = "/api/v1/uploads"

RESPONSES = {
    "412": "The header `Tus-Resumable: 1.0.0` is missing.",
    "415": f"The body is to be `{BODY}`.",
    "423": "Another request is writing to this upload; `Retry-After` says when to ask again.",
    "460": "The bytes have not the checksum they came with.",
}

_NUMBER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_VERSION = {"type": "string", "enum": [VERSION]}

_ASKED: dict[tuple[str, str], list[tuple[str, bool, dict[str, Any], str]]] = {
    (PATH, "post"): [
        ("Tus-Resumable", True, _VERSION, "The protocol."),
        ("Upload-Length", True, _NUMBER, "Bytes of the whole file."),
        ("Upload-Metadata", False, _TEXT, "Options: `name base64, name base64`."),
        ("Idempotency-Key", False, {"type": "string", "minLength": 1, "maxLength": 255}, "Of the job it becomes."),
    ],
    (PATH + "/{upload_id}", "patch"): [
        ("Tus-Resumable", True, _VERSION, "The protocol."),
        ("Upload-Offset", True, _NUMBER, "Where the body belongs: at the end of what is there."),
        ("Upload-Checksum", False, _TEXT, f"An algorithm ({', '.join(ALGORITHMS)}), a space, the digest as base64."),
    ],
    (PATH + "/{upload_id}", "delete"): [("Tus-Resumable", True, _VERSION, "The protocol.")],
}

_STATUSES = {
    (PATH, "post"): ["400", "409", "412", "413", "422", "423", "429", "460"],
    (PATH + "/{upload_id}", "get"): ["404"],
    (PATH + "/{upload_id}", "patch"): ["400", "404", "409", "412", "413", "415", "422", "423", "429", "460"],
    (PATH + "/{upload_id}", "delete"): ["404", "412"],
    (PATH + "/{upload_id}/complete", "post"): ["404", "409", "413", "422", "429"],
}

_SAID = {
    "Tus-Resumable": _VERSION,
    "Upload-Offset": _NUMBER,
    "Upload-Length": _NUMBER,
    "Upload-Expires": _TEXT,
}


def describe(paths: dict[str, Any]) -> None:
    """Completes the operations of uploads, in place."""
    for (path, method), parameters in _ASKED.items():
        paths[path][method]["parameters"] += [
            {"name": name, "in": "header", "required": required, "schema": schema, "description": description}
            for name, required, schema, description in parameters
        ]
    bytes_ = {"content": {BODY: {"schema": {"type": "string", "format": "binary"}}}}
    paths[PATH]["post"]["requestBody"] = {"required": False, **bytes_}
    paths[PATH + "/{upload_id}"]["patch"]["requestBody"] = {"required": True, **bytes_}
    for (path, method), status, more in (
        ((PATH, "post"), "201", {"Location": _TEXT}),
        ((PATH + "/{upload_id}", "get"), "200", {}),
        ((PATH + "/{upload_id}", "patch"), "204", {"Emobatch-Job": {"type": "string", "format": "uuid"}}),
    ):
        answer = paths[path][method]["responses"][status]
        answer["headers"] = {name: {"schema": schema} for name, schema in (_SAID | more).items()}
        if method != "get":
            answer.pop("content", None)
    for (path, method), statuses in _STATUSES.items():
        for status in statuses:
            answer = {"$ref": f"#/components/responses/problem_{status}"}
            paths[path][method]["responses"].setdefault(status, answer)
