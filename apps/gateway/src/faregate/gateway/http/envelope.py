"""Response envelope: success, status, message, data, and error on failure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, cast

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from faregate.core.errors import FaregateError
from faregate.core.redaction.scrubbing import clean_text, clean_value
from faregate.gateway.errors import DOCS_URL, STATUS
from faregate.wire import exact_json

__all__ = ["ContentResponse", "failure", "json_bytes_response", "standard_headers", "success"]


class ContentResponse(Response):
    """A JSON response that keeps the `content` its body was written from, so that the body need not be parsed."""

    def __init__(self, content: Mapping[str, Any], *, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(_written(content), status, headers or None, "application/json")
        self.content = content


def success(
    data: Any,
    *,
    message: str,
    status: int = 200,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to a call that succeeded."""
    content: dict[str, Any] = {"success": status < 400, "status": status, "message": message, "data": data}
    if meta is not None:
        content["meta"] = dict(meta)
    return ContentResponse(content, status=status, headers=headers)


def failure(
    error: FaregateError,
    *,
    request_id: str,
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to a call that failed; `data.message` is for clients that read nothing but `data`."""
    status, detail = STATUS[error.code], clean_text(error.public_detail)
    described: dict[str, Any] = {
        "code": error.code,
        "detail": detail,
        "type": f"{DOCS_URL}#{error.code}",
        "request_id": request_id,
    }
    if error.param is not None:
        described["param"] = error.param
    content = {
        "success": False,
        "status": status,
        "message": detail,
        "data": {**clean_value(dict(data or {})), "message": detail},
        "error": {**clean_value(error.facts), **described},
    }
    return ContentResponse(content, status=status, headers={**standard_headers(error, status), **(headers or {})})


def standard_headers(error: FaregateError, status: int) -> dict[str, str]:
    """Return the headers that HTTP asks for with this status."""
    if status == 401:
        return {"www-authenticate": 'Bearer realm="faregate"'}
    if status in {429, 503}:
        return {"retry-after": str(error.facts.get("retry_after_seconds", 1))}
    return {}


def json_bytes_response(body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose body is JSON bytes."""
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def _written(content: Any) -> bytes:
    """Write the JSON of `exact_json.dumps`, except for the notation of floats; these bytes are never hashed."""
    try:
        return orjson.dumps(content, default=_exact, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:  # integers of more than 64 bits
        return exact_json.dumps(content)


def _exact(value: Any) -> Any:
    if type(value) is Decimal:
        return orjson.Fragment(exact_json.plain(value))
    if isinstance(value, BaseModel):
        return vars(value) if _is_plain(type(value)) else value.model_dump()
    return orjson.Fragment(exact_json.written(value))


@cache
def _is_plain(model: type[BaseModel]) -> bool:
    """Whether `model_dump` does nothing but make a dictionary of the fields, which are then written by the same rules."""
    model.model_rebuild()  # it may not be built yet, and then has no schema
    config = model.model_config
    has_more = model.model_computed_fields or config.get("extra") == "allow" or config.get("serialize_by_alias")
    return not (has_more or _customs(model.__pydantic_core_schema__))


def _customs(schema: Any) -> bool:
    """Whether a pydantic schema says how to write a value: by a serializer, without a field, or as a root model."""
    if isinstance(schema, dict):
        fields = cast("dict[str, Any]", schema)
        own = any(fields.get(name) for name in ("serialization", "serialization_exclude", "root_model"))
        return own or any(map(_customs, fields.values()))
    return isinstance(schema, list | tuple) and any(map(_customs, cast("Sequence[Any]", schema)))
