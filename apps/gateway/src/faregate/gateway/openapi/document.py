"""OpenAPI document."""

from collections.abc import Iterable, Sequence
from typing import Any

from faregate.gateway.http.body import RawBody
from faregate.gateway.http.operation import Operation
from faregate.gateway.openapi.numbers import Mode, Schemas
from faregate.gateway.openapi.operations import describe
from faregate.gateway.security.auth import Scope

__all__ = ["build_document"]

_ABOUT = """Credits for AI features: authorise a use, run it, settle its real cost.

Credits and money are JSON numbers with their exact decimal digits: read them as decimals. Every answer has the same
envelope (`success`, `status`, `message`, `data`, on failure `error`), and every error has a code from a closed list, with
a page of its own (`error.type`). Creating calls honour `Idempotency-Key`: the same key with the same body gets the same answer."""

_ERROR = {
    "type": "object",
    "description": "the error; `code` is from a closed list, further fields are values for programs",
    "required": ["code", "detail", "type", "request_id"],
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string", "description": "one sentence for people: the problem and the fix"},
        "type": {"type": "string", "description": "the page about this code"},
        "param": {"type": "string", "description": "the field concerned"},
        "request_id": {"type": "string"},
    },
}

_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "faregate_session",
        "description": "a browser that has signed in by POST /api/session; changes also need the header x-csrf-token",
    },
    "portalLink": {
        "type": "http",
        "scheme": "bearer",
        "description": "a link to the customers' page, fgp_…: the part after # of the `url` that POST /api/portal/links answers",
    },
    "serverKey": {"type": "apiKey", "in": "header", "name": "x-server-api-key", "description": "a server's key, fg_…"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "a server's key, or a user's JSON Web Token"},
}


def build_document(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these operations."""
    schemas = Schemas(list(_kinds(operations)))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace(":path}", "}")
        paths.setdefault(path, {})[operation.method.lower()] = describe(operation, schemas)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Faregate", "version": version, "description": _ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": {**schemas.definitions, "Error": _ERROR},
            "securitySchemes": _SCHEMES,
        },
        "x-scopes": [scope.value for scope in Scope],
    }


def _kinds(operations: Sequence[Operation]) -> Iterable[tuple[Any, Mode]]:
    seen: set[tuple[str, Mode]] = set()
    for operation in operations:
        bodies = [kind for kind in (operation.consumes or {}).values() if kind is not RawBody]
        read: tuple[Any, ...] = (*bodies, *operation.path_parameters.values(), operation.query)
        written: tuple[Any, ...] = (operation.answer, *operation.also.values())
        modes: tuple[tuple[Mode, tuple[Any, ...]], ...] = (("validation", read), ("serialization", written))
        for mode, kinds in modes:
            for kind in kinds:
                if kind is not None and (repr(kind), mode) not in seen:
                    seen.add((repr(kind), mode))
                    yield kind, mode
