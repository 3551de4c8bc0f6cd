"""The OpenAPI document: valid, complete, and kept to by every route, whatever is asked."""

from __future__ import annotations

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import serialize_binary

from tests.web.conftest import TOKEN
from web.openapi import _named_once
from web.openapi_examples import BINARY


@schemathesis.serializer("application/offset+octet-stream")
def serialize_bytes(context: schemathesis.SerializationContext, value: object) -> bytes:
    """As `application/octet-stream`, which Schemathesis knows."""
    return serialize_binary(value)  # type: ignore[arg-type]


OPERATIONS = [
    ("GET", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/uploads"),
    ("GET", "/api/v1/uploads/{upload_id}"),
    ("PATCH", "/api/v1/uploads/{upload_id}"),
    ("DELETE", "/api/v1/uploads/{upload_id}"),
    ("POST", "/api/v1/uploads/{upload_id}/complete"),
    ("GET", "/api/v1/jobs/{job_id}"),
    ("DELETE", "/api/v1/jobs/{job_id}"),
    ("POST", "/api/v1/jobs/{job_id}/cancel"),
    ("GET", "/api/v1/jobs/{job_id}/failed.csv"),
    ("POST", "/api/v1/jobs/{job_id}/fixed"),
    ("GET", "/api/v1/jobs/{job_id}/results.csv"),
    ("GET", "/api/v1/jobs/{job_id}/results.jsonl"),
    ("GET", "/api/v1/jobs/{job_id}/results.parquet"),
    ("GET", "/api/v1/jobs/{job_id}/results.xlsx"),
    ("GET", "/api/v1/jobs/{job_id}/rows"),
    ("GET", "/api/v1/jobs/{job_id}/rows/{row}"),
    ("GET", "/api/v1/jobs/{job_id}/rows/{row}/words"),
    ("GET", "/api/v1/jobs/{job_id}/summary"),
    ("POST", "/api/v1/jobs/{job_id}/again"),
    ("GET", "/api/v1/jobs/{job_id}/compare/{other_id}"),
    ("GET", "/api/v1/jobs/{job_id}/compare/{other_id}/changes.csv"),
    ("POST", "/api/v1/jobs/{job_id}/review"),
    ("GET", "/api/v1/jobs/{job_id}/review"),
    ("DELETE", "/api/v1/jobs/{job_id}/review"),
    ("GET", "/api/v1/jobs/{job_id}/review/rows"),
    ("PUT", "/api/v1/jobs/{job_id}/review/rows/{row}"),
    ("DELETE", "/api/v1/jobs/{job_id}/review/rows/{row}"),
    ("GET", "/api/v1/jobs/{job_id}/review/results"),
    ("GET", "/api/v1/jobs/{job_id}/corrections"),
    ("PUT", "/api/v1/jobs/{job_id}/corrections/{row}"),
    ("DELETE", "/api/v1/jobs/{job_id}/corrections/{row}"),
    ("GET", "/api/v1/jobs/{job_id}/corrections.tsv"),
    ("GET", "/api/v1/jobs/{job_id}/corrections.csv"),
    ("GET", "/api/v1/jobs/{job_id}/corrections.toml"),
    ("GET", "/api/v1/jobs/{job_id}/summary.md"),
    ("GET", "/api/v1/jobs/{job_id}/summary/{chart}.svg"),
    ("GET", "/api/v1/jobs/{job_id}/summary/{chart}.csv"),
    ("GET", "/api/v1/taxonomies"),
    ("POST", "/api/v1/taxonomies"),
    ("GET", "/api/v1/taxonomies/{name}"),
    ("PUT", "/api/v1/taxonomies/{name}"),
    ("DELETE", "/api/v1/taxonomies/{name}"),
    ("POST", "/api/v1/classify"),
    ("POST", "/api/v1/preview"),
    ("POST", "/api/v1/webhooks"),
    ("GET", "/api/v1/webhooks"),
    ("GET", "/api/v1/webhooks/{webhook_id}"),
    ("DELETE", "/api/v1/webhooks/{webhook_id}"),
    ("POST", "/api/v1/webhooks/{webhook_id}/rotate"),
    ("POST", "/api/v1/webhooks/{webhook_id}/enable"),
    ("POST", "/api/v1/webhooks/{webhook_id}/test"),
    ("GET", "/api/v1/webhooks/{webhook_id}/deliveries"),
    ("POST", "/api/v1/deliveries/{delivery_id}/again"),
    ("GET", "/api/v1/account"),
    ("GET", "/api/v1/keys"),
    ("POST", "/api/v1/keys"),
    ("DELETE", "/api/v1/keys/{key_id}"),
    ("GET", "/api/v1/models"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/ready"),
]


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json


def test_it_lists_exactly_the_routes(document):
    listed = [(method.upper(), path) for path, operations in document["paths"].items() for method in operations]
    assert sorted(listed) == sorted(OPERATIONS)


def test_it_is_openapi_31_and_every_reference_leads_somewhere(document):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "emobatch"
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node = document
        for part in reference.split("/"):
            node = node[part]
    names = set(document["components"]["schemas"])
    assert names == {reference.rpartition("/")[2] for reference in references if "/schemas/" in reference}


def test_every_error_is_a_problem(document):
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and "$ref" in response:
                    said = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                    assert list(said["content"]) == ["application/problem+json"]


def test_every_body_has_an_example_that_is_as_its_schema_says(document):
    """All but files that are no text."""
    bodies = [
        (f"{method} {path} {kind}", body)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for part in [operation.get("requestBody", {}), *operation["responses"].values()]
        for kind, body in part.get("content", {}).items()
    ]
    bodies += [
        (name, body) for name, one in document["components"]["responses"].items() for body in one["content"].values()
    ]
    assert len(bodies) > 80
    for where, body in bodies:
        reference = body["schema"].get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"][reference] if reference else body["schema"]
        given = [body["example"]] if "example" in body else schema.get("examples", [])
        assert given or where.rpartition(" ")[2] in BINARY, where
        for example in given:
            Draft202012Validator({**schema, "components": document["components"]}).validate(example)


def test_every_header_says_what_it_is_for(document):
    headers = [
        parameter
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation["parameters"]
        if parameter["in"] == "header"
    ]
    assert {"If-None-Match", "Range", "Idempotency-Key"} <= {header["name"] for header in headers}
    assert [header["name"] for header in headers if not header.get("description")] == []


def test_two_models_of_one_name_are_refused():
    with pytest.raises(AssertionError, match="Two models are called RangeOut"):
        _named_once({"RangeOut": {"type": "object"}, "PreviewOut.RangeOut": {"type": "string"}})


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_routes_keep_to_it_whatever_is_asked(app, ask, installation, answering, method, path):
    """Generated requests, about a job that is there: no 500, and every answer as the document says."""
    begun = ask("POST", "/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
    job_id = ask.upload()
    ids = {"job_id": job_id, "upload_id": begun.headers["Location"].rpartition("/")[2]}
    installation.run()
    assert ask("POST", f"/jobs/{job_id}/review", json={"size": 10}).status_code == 200
    ask("PUT", f"/jobs/{job_id}/review/rows/1", json={"labels": ["joy"]})
    operation = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)[path][method]
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(case=operation.as_strategy())
    def ask_and_check(case):
        if case.path_parameters and method == "GET":
            case.path_parameters = {
                **case.path_parameters,
                **{name: ids[name] for name in case.path_parameters if name in ids},
            }
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=checks)

    ask_and_check()
