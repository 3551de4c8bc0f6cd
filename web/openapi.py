"""The OpenAPI 3.1 document: what APIFlask makes of routes and models, and the parts it cannot know."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel

from web import openapi_examples, openapi_uploads
from web.figure_charts import NAMES
from web.problems import problem
from web.schemas import CreateOptions, FixOptions, Problem

PROBLEM = "Problem"

_FILES = (".csv", ".jsonl", ".parquet", ".xlsx", ".tsv", ".toml", ".md", ".svg")

_UPLOADS: dict[str, type[BaseModel]] = {"/api/v1/jobs": CreateOptions, "/api/v1/jobs/{job_id}/fixed": FixOptions}
"""Where files come in, and what may be said about them."""

_RESPONSES = {
    "400": "The body broke off before its end, or is not understood.",
    "401": "No valid token, API key or session.",
    "403": "Signed in, but the key's scope does not allow this.",
    "404": "There is none such, or it is not yours: the two look alike.",
    "409": "Not in a state for this: not ready, or the Idempotency-Key is in use.",
    "413": "The file is too large.",
    "422": "The file or an option is wrong: `code` says how, `row`, `line` and `column` where.",
    "429": "Too many requests, unfinished jobs, uploads or rows: `limit` says which, `Retry-After` how long to wait.",
    "503": "A part is away; `Retry-After` says when to ask again.",
}


_RETRY = {
    "Retry-After": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds after which to ask (again)."}
}

_ID = {"type": "string", "format": "uuid"}
_PATH_PARTS: dict[str, dict[str, Any]] = {
    "row": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "name": {"type": "string", "minLength": 1},
    "chart": {"type": "string", "enum": list(NAMES)},
}
"""Parts of an address that are no ids."""


def configure(app: APIFlask) -> None:
    """Sets the document's frame, and finishes it when it is first asked for."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
        DESCRIPTION="Labels the text in a CSV with emotions: same rows, same order, every cell untouched.",
        LICENSE={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        SECURITY_SCHEMES={
            "bearer": {"type": "http", "scheme": "bearer", "description": "The access token, or an API key."}
        },
    )
    app.spec_processor(_finish)


def _finish(spec: Any) -> Any:
    components = spec["components"]
    components["schemas"].pop("HTTPError", None)  # APIFlask's own shape of errors, which is not ours
    components["schemas"][PROBLEM] = Problem.model_json_schema()
    components["responses"] = {
        f"problem_{status}": _problem(status, said) for status, said in (_RESPONSES | openapi_uploads.RESPONSES).items()
    }
    spec["security"] = [{"bearer": []}]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _finish_operation(path, method, operation)
    openapi_uploads.describe(spec["paths"])
    ready = spec["paths"]["/api/v1/ready"]["get"]["responses"]
    ready["503"] = ready["200"] | {"description": "A part is away; `parts` says which.", "headers": _RETRY}
    look = spec["paths"]["/api/v1/preview"]["post"]
    head = {"type": "string", "format": "binary", "description": "The file's first bytes, or all."}
    look["requestBody"] = {"required": True, "content": {"text/csv": {"schema": head}}}
    key = {"type": "string", "minLength": 1, "maxLength": 255}
    for path, options in _UPLOADS.items():
        upload = spec["paths"][path]["post"]
        upload["requestBody"] = _body(options)
        upload["parameters"].append(
            _header("Idempotency-Key", "Asking again with the same one makes no other job.", key)
        )
    for status in ("429", "503"):
        components["responses"][f"problem_{status}"]["headers"] = _RETRY
    components["schemas"] = _named_once(components["schemas"])
    openapi_examples.describe(paths := _plain(spec["paths"]))
    schemas = {name: _plain(one, keep_null=name.endswith("In")) for name, one in components.pop("schemas").items()}
    return spec | {"paths": paths, "components": _plain(components) | {"schemas": schemas}}


def _finish_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = ["503"]
    if operation.get("security") != [{}]:
        statuses += ["401", "429"]
    if method != "get":
        statuses += ["403"]
    if "requestBody" in operation or any(parameter["in"] == "query" for parameter in operation["parameters"]):
        statuses += ["422"]
    if "{" in path or (path, method) == ("/api/v1/jobs", "get"):  # there: the job in `before`
        statuses += ["404"]
    if path.endswith((*_FILES, "/fixed", "/summary", "/review")) or "/rows" in path:
        statuses += ["409"]
    if path == "/api/v1/jobs/{job_id}/again":
        statuses += ["429"]
    if path.endswith("/words"):
        statuses += ["413"]
    if "requestBody" in operation or path == "/api/v1/preview":
        statuses += ["400", "413"]
    if path.endswith(("/test", "/again")):  # of a webhook that is turned off
        statuses += ["409"]
    if path.endswith("/summary"):
        responses = operation["responses"]
        responses["202"] = responses["200"] | {"description": "Still being counted; `Retry-After` says when to ask."}
    if path.startswith("/api/v1/taxonomies") and "requestBody" in operation:
        statuses += ["409"]
    if path in _UPLOADS and method == "post":
        statuses += ["400", "409", "413"]
    if "/results." in path:
        operation["parameters"].append(
            _header("Range", "One range of bytes, to go on where a download broke off; best with `If-Range`.")
        )
        part = operation["responses"]["200"] | {"description": "The bytes that `Range` asks for."}
        operation["responses"] |= {"206": part, "304": {"description": "Nothing changed."}}
        operation["responses"]["416"] = {"description": "The file ends before these bytes."}
    good = operation["responses"].get("200", {})
    if method == "get" and "application/json" in good.get("content", {}) and operation.get("security") != [{}]:
        operation["parameters"].append(
            _header("If-None-Match", "The `ETag` of an earlier answer: 304 without a body while nothing changed.")
        )
        good.setdefault("headers", {})["ETag"] = {"schema": {"type": "string"}, "description": "Changes as it does."}
        operation["responses"]["304"] = {"description": "Nothing changed since the answer with that `ETag`."}
    if "202" in operation["responses"]:
        operation["responses"]["202"].setdefault("headers", {}).update(_RETRY)
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if any(parameter["in"] == "query" for parameter in operation["parameters"]):
        operation["responses"]["414"] = {"description": "The address is longer than 8,190 bytes."}
    for status in statuses:
        operation["responses"].setdefault(status, {"$ref": f"#/components/responses/problem_{status}"})
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter |= {"required": True, "schema": _PATH_PARTS.get(parameter["name"], _ID)}


def _header(name: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """A header that may be sent."""
    kind = schema or {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": kind}


def _problem(status: str, description: str) -> dict[str, Any]:
    special = dict(openapi_examples.PROBLEMS[status])
    example = problem(int(status), special.pop("detail"), special.pop("code"), **special)
    body = {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}, "example": example}
    return {"description": description, "content": {"application/problem+json": body}}


def _body(options: type[BaseModel]) -> dict[str, Any]:
    file = {"type": "string", "format": "binary", "description": "CSV, or a gzipped CSV."}
    fields = options.model_json_schema()["properties"]
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return {"required": True, "content": {"text/csv": {"schema": file}, "multipart/form-data": {"schema": form}}}


def _plain(node: Any, *, keep_null: bool = False) -> Any:
    """Schemas as a reader wants them.

    An option that is left out is not null (but in a JSON body it may be), a title repeats its name, and a schema
    within a schema needs no prefix.
    """
    if isinstance(node, list):
        return [_plain(item, keep_null=keep_null) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        name: value
        if name == "example" or (name == "examples" and isinstance(value, list))
        else _plain(value, keep_null=keep_null)
        for name, value in node.items()
        if not (name == "title" and isinstance(value, str))
    }
    if "default" in kept and kept["default"] is None:
        del kept["default"]
        if keep_null:
            return kept
        options = [option for option in kept.pop("anyOf", []) if option != {"type": "null"}]
        kept |= options[0] if len(options) == 1 else {"anyOf": options} if options else {}
    if isinstance(kept.get("$ref"), str):
        prefix, _, name = kept["$ref"].rpartition("/")
        kept["$ref"] = f"{prefix}/{_short(name)}"
    return kept


def _named_once(schemas: dict[str, Any]) -> dict[str, Any]:
    """Schemas by their short names. Two models of one name would be taken for each other."""
    found: dict[str, Any] = {}
    for name, schema in schemas.items():
        other = found.setdefault(_short(name), schema)
        assert _plain(other) == _plain(schema), f"Two models are called {_short(name)}: give one another name."
    return found


def _short(name: str) -> str:
    """``JobsOut.JobOut`` → ``JobOut``: the same model wherever it is nested."""
    return name.rpartition(".")[2]
