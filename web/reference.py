"""The API described on a page: made of the OpenAPI document on the server, in the site's own look, without a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apiflask import APIFlask

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Field:
    """A parameter, or a member of an object."""

    name: str
    kind: str
    """Its type in words."""
    required: bool
    description: str
    place: str = ""
    """Of a parameter: path, query or header."""
    schema: str = ""
    """The object it is, by name."""


@dataclass(frozen=True)
class Body:
    """What is sent, or answered."""

    title: str
    """The media type, or the status."""
    description: str
    kind: str
    schema: str
    example: str


@dataclass(frozen=True)
class Operation:
    """One thing to ask for."""

    id: str
    method: str
    path: str
    summary: str
    description: list[str]
    fields: list[Field]
    bodies: list[Body]
    answers: list[Body]
    open_to_all: bool


@dataclass(frozen=True)
class Group:
    """Operations that belong together."""

    name: str
    description: str
    operations: list[Operation]


@dataclass(frozen=True)
class Schema:
    """An object that goes in or out."""

    name: str
    description: str
    fields: list[Field]
    example: str


@dataclass(frozen=True)
class Reference:
    """The whole page."""

    title: str
    version: str
    description: str
    groups: list[Group]
    schemas: list[Schema]

    @classmethod
    def of(cls, app: APIFlask) -> Reference:
        """What the app's document says."""
        spec = app._get_spec("json")
        assert isinstance(spec, dict)
        components = spec.get("components", {})
        said = {tag["name"]: tag.get("description", "") for tag in spec.get("tags", [])}
        operations: dict[str, list[Operation]] = {name: [] for name in said}
        for path, methods in spec["paths"].items():
            for method in (name for name in _METHODS if name in methods):
                given = methods[method]
                operations.setdefault(given.get("tags", ["Other"])[0], []).append(
                    _operation(method, path, given, components)
                )
        info = spec["info"]
        return cls(
            title=info["title"],
            version=info["version"],
            description=info.get("description", ""),
            groups=[Group(name, said.get(name, ""), found) for name, found in operations.items() if found],
            schemas=[_schema(name, given) for name, given in sorted(components.get("schemas", {}).items())],
        )


def _operation(method: str, path: str, given: dict[str, Any], components: dict[str, Any]) -> Operation:
    content = given.get("requestBody", {}).get("content", {})
    return Operation(
        id=f"{method}-{path}".replace("/", "-").replace("{", "").replace("}", "").replace(".", "-"),
        method=method.upper(),
        path=path,
        summary=given.get("summary", ""),
        description=[part for part in given.get("description", "").split("\n\n") if part.strip()],
        fields=[
            _field(found["name"], found.get("schema", {}), found.get("required", False), found)
            for found in given.get("parameters", [])
        ],
        bodies=[_body(kind, "", part) for kind, part in content.items()],
        answers=[_answer(status, answer, components) for status, answer in sorted(given["responses"].items())],
        open_to_all=given.get("security") == [{}],
    )


def _answer(status: str, given: dict[str, Any], components: dict[str, Any]) -> Body:
    if "$ref" in given:
        given = components["responses"][_name(given)]
    content: dict[str, Any] = next(iter(given.get("content", {}).values()), {})
    return _body(status, given.get("description", ""), content)


def _body(title: str, description: str, content: dict[str, Any]) -> Body:
    schema = content.get("schema", {})
    return Body(title, description, in_words(schema), _object(schema), _example(content) or _example(schema))


def _schema(name: str, given: dict[str, Any]) -> Schema:
    needed = given.get("required", [])
    fields = [_field(member, found, member in needed, found) for member, found in given.get("properties", {}).items()]
    return Schema(name, given.get("description", ""), fields, _example(given))


def _field(name: str, schema: dict[str, Any], required: bool, said: dict[str, Any]) -> Field:
    description = said.get("description") or schema.get("description", "")
    return Field(name, in_words(schema), required, description, said.get("in", ""), _object(schema))


def in_words(schema: dict[str, Any]) -> str:
    """A type as a person says it: ``list of JobOut``, ``number from 0 to 1 or null``."""
    if "$ref" in schema:
        return _name(schema)
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if options:
        return " or ".join(dict.fromkeys(in_words(option) for option in options))
    if "enum" in schema or "const" in schema:
        return " or ".join(map(str, schema.get("enum", [schema.get("const")])))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {in_words(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {in_words(schema['additionalProperties'])}"
    if kind == "string" and schema.get("format") == "binary":
        return "bytes"
    return " ".join([_FORMATS.get(schema.get("format", ""), kind), *_bounds(schema)])


_FORMATS = {"uuid": "UUID", "date-time": "time", "date": "date"}


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"from {low:,} to {high:,}"
    elif low is not None:
        yield f"from {low:,}"
    elif high is not None:
        yield f"to {high:,}"
    if "maxLength" in schema:
        yield f"of at most {schema['maxLength']:,} characters"
    if "default" in schema and schema["default"] is not None:
        yield f"(else {schema['default']})"


def _object(schema: dict[str, Any]) -> str:
    """The named object in a type, where there is one."""
    if "$ref" in schema:
        return _name(schema)
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])]
    return next((found for part in inner if isinstance(part, dict) and (found := _object(part))), "")


def _example(given: dict[str, Any]) -> str:
    examples = given.get("examples") or []
    if isinstance(examples, dict):
        examples = [each.get("value") for each in examples.values()]
    found = given.get("example", examples[0] if examples else None)
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)


def _name(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
