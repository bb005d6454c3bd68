"""Reading request bodies: bounded while they stream, exact, validated."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from faregate.core import exact_json
from faregate.core.errors import FaregateError, InvalidError
from faregate.gateway.errors import TooLargeError, UnsupportedMediaTypeError

__all__ = ["BODY_LIMIT_BYTES", "invalid", "read_bytes", "read_json", "validate"]

BODY_LIMIT_BYTES = 1024 * 1024

M = TypeVar("M", bound=BaseModel)


async def read_bytes(request: Request, *, limit: int = BODY_LIMIT_BYTES) -> bytes:
    """Return the body; stops reading at the limit, whatever Content-Length said."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_json(request: Request, *, limit: int = BODY_LIMIT_BYTES) -> Any:
    """Return the body as exact JSON.

    Raises:
        UnsupportedMediaTypeError, TooLargeError, MalformedError.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaTypeError("application/json")
    return exact_json.loads(await read_bytes(request, limit=limit))


def validate(kind: type[M], data: Any) -> M:
    """Return `data` as `kind`, or raise `InvalidError` listing each wrong field; values are not repeated."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> FaregateError:
    """Return what a validation error means to the caller."""
    fields = [
        {"param": ".".join(map(str, problem["loc"])) or "body", "detail": problem["msg"].removeprefix("Value error, ")}
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    first = fields[0]
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    return InvalidError(f"{first['param']}: {first['detail']}{more}", param=first["param"], fields=fields)
