"""OpenAPI operation objects.

Each lists the parameters, the body, the answers, the errors, and who may call it.
"""

from collections.abc import Iterable
from typing import Any

from faregate.core.errors import EngineUnavailableError, FaregateError, InvalidError, KeyConflictError, MalformedError
from faregate.gateway.errors import (
    STATUS,
    ForbiddenError,
    RateLimitedError,
    RequestTimeoutError,
    RouteNotFoundError,
    ScopeMissingError,
    TooLargeError,
    UnauthenticatedError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.operation import JSON, Operation
from faregate.gateway.openapi.examples import example_of
from faregate.gateway.openapi.numbers import Schemas
from faregate.wire.ids import EXTERNAL_ID_PATTERN

__all__ = ["describe", "errors_of"]

_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": f"your own id of this request ({EXTERNAL_ID_PATTERN}), else one is made; it is returned and logged",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same key with the same request gets the same answer, for 35 days",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_DRY_RUN = {
    "name": "x-faregate-dry-run",
    "in": "header",
    "description": "`true`: answer what the call would do, and change nothing",
    "schema": {"type": "string", "enum": ["true"]},
}
_REASONS = {
    400: "malformed",
    401: "no credential, or an unknown one",
    402: "not enough credits",
    403: "not permitted",
    404: "not found",
    408: "too slow",
    409: "conflict",
    413: "too large",
    415: "media type",
    422: "well-formed, but invalid",
    429: "too many requests",
    500: "a defect of Faregate",
    503: "a required engine is unavailable",
}


def describe(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    """Return the operation object."""
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path(operation, schemas), *_query(operation, schemas), *_headers(operation)],
        "responses": {**_answers(operation, schemas), **_failures(operation)},
        "security": _security(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.scope is not None:
        described["x-scope"] = operation.scope.value
    if operation.own is not None:
        described["x-own-data"] = operation.own
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _contents(operation, schemas)}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.portal:
        return [{"portalLink": []}]
    return [{"serverKey": []}, {"bearer": []}, {"session": []}] if operation.guarded else []


def errors_of(operation: Operation) -> set[type[FaregateError]]:
    """Return all error responses of a call."""
    found: set[type[FaregateError]] = {FaregateError, EngineUnavailableError, MalformedError, *operation.errors}
    if operation.guarded:
        found |= {UnauthenticatedError, ScopeMissingError, ForbiddenError, RateLimitedError, InvalidError}
    if operation.body is not None:
        found |= {RequestTimeoutError, TooLargeError, UnsupportedMediaTypeError, UnsupportedEncodingError, InvalidError}
    if operation.own is not None:
        found |= {RouteNotFoundError}
    if operation.path_parameters or operation.query is not None:
        found |= {InvalidError}
    if operation.idempotent:
        found |= {KeyConflictError}
    return found


def _path(operation: Operation, schemas: Schemas) -> Iterable[dict[str, Any]]:
    for name, kind in operation.path_parameters.items():
        schema = schemas.of(kind, "validation")
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(operation: Operation, schemas: Schemas) -> Iterable[dict[str, Any]]:
    if operation.query is None:
        return
    model = schemas.resolved(operation.query, "validation")
    required = model.get("required", [])
    for name, schema in model.get("properties", {}).items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        yield parameter | ({"example": example_of(schema, schemas.definitions, name)} if name in required else {})


def _headers(operation: Operation) -> list[dict[str, Any]]:
    dry_run = [_DRY_RUN] if operation.rehearsable else []
    return [_REQUEST_ID, *([_IDEMPOTENCY_KEY] if operation.idempotent else []), *dry_run]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional parameter, without null, which a query cannot hold."""
    kept = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if not choices:
        return kept
    del kept["anyOf"]
    return {**choices[0], **kept} if len(choices) == 1 else {"anyOf": choices, **kept}


def _contents(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    for media_type, kind in (operation.consumes or {}).items():
        if kind is None or kind is RawBody:
            contents[media_type] = {"schema": {"type": "string", "contentMediaType": media_type}}
            continue
        contents[media_type] = {
            "schema": schemas.of(kind, "validation"),
            "example": example_of(schemas.of(kind, "validation"), schemas.definitions),
        }
    return contents


def _answers(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    if operation.dialect is not None:
        return {
            str(status): {"description": operation.summary, **_foreign(kinds)}
            for status, kinds in operation.dialect.answers.items()
        }
    if operation.produces:
        kinds = [kind.partition(";")[0] for kind in operation.produces]
        content = {kind: {"schema": {} if kind == JSON else {"type": "string"}} for kind in kinds}
        return {str(operation.status): {"description": operation.summary, "content": content}}
    answers = {operation.status: operation.answer, **operation.also}
    return {
        str(status): {
            "description": operation.summary,
            "content": {JSON: {"schema": _envelope(operation, status, kind, schemas)}},
            **({"links": operation.links} if operation.links and status == operation.status else {}),
        }
        for status, kind in answers.items()
    }


def _foreign(kinds: Iterable[str]) -> dict[str, Any]:
    """Return the content of answers in another system's form; nothing for an answer without a body."""
    content = {kind: {"schema": {"type": "object" if kind.endswith("json") else "string"}} for kind in kinds}
    return {"content": content} if content else {}


def _envelope(operation: Operation, status: int, kind: Any, schemas: Schemas) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "success": {"const": True},
        "status": {"const": status},
        "message": {"type": "string"},
        "data": schemas.of(kind, "serialization") if kind is not None else {},
    }
    if operation.paged:
        cursor = {"type": ["string", "null"], "description": "send it as `cursor` for the next page; null on the last"}
        properties["meta"] = {"type": "object", "required": ["next_cursor"], "properties": {"next_cursor": cursor}}
    return {"type": "object", "required": list(properties), "properties": properties}


def _failures(operation: Operation) -> dict[str, Any]:
    codes: dict[int, set[str]] = {}
    dialect = operation.dialect
    for error in errors_of(operation):
        status = STATUS[error.code]
        codes.setdefault(dialect.statuses.get(status, status) if dialect else status, set()).add(error.code)
    return {
        str(status): {
            "description": f"{_REASONS[status]}: {', '.join(sorted(named))}",
            **(
                _foreign(dialect.failures)
                if dialect
                else {"content": {JSON: {"schema": _failure(status, sorted(named))}}}
            ),
            **({"headers": _RETRY} if status == 429 else {}),
        }
        for status, named in sorted(codes.items())
    }


_RETRY = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 1}}}


def _failure(status: int, codes: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["success", "status", "message", "data", "error"],
        "properties": {
            "success": {"const": False},
            "status": {"const": status},
            "message": {"type": "string"},
            "data": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
            "error": {
                "allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"code": {"enum": codes}}}],
            },
        },
    }
