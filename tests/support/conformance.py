"""Conformance of answers to the OpenAPI document."""

from typing import Any

import httpx2
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

__all__ = ["conforms", "is_valid"]


def conforms(document: Any, described: Any, answer: httpx2.Response) -> None:
    """Assert that status, media type and content are described."""
    promised = described["responses"].get(str(answer.status_code))
    name = f"{described['operationId']} -> {answer.status_code}"
    assert promised is not None, f"{name} is not described: {answer.text[:300]}"
    if not promised.get("content"):
        assert not answer.content, f"{name} has a body"
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in promised["content"], f"{name} is {kind}"
    if kind == "application/json":
        problems = _problems(document, promised["content"][kind]["schema"], answer.json())
        assert not problems, f"{name}: {problems[0]}"


def is_valid(document: Any, schema: Any, value: Any) -> bool:
    """Return whether a schema of the document allows this value."""
    return not _problems(document, schema, value)


def _problems(document: Any, schema: Any, value: Any) -> list[str]:
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:document", resource)
    return [e.message for e in Draft202012Validator(_absolute(schema), registry=registry).iter_errors(value)]


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"urn:document{item}" if key == "$ref" and item.startswith("#") else _absolute(item)
            for key, item in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema
