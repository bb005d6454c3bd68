"""Reading request bodies: bounded while they stream, exact, validated."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from faregate.core import exact_json
from faregate.core.errors import FaregateError, InvalidError
from faregate.gateway.errors import RequestTimeoutError, TooLargeError, UnsupportedMediaTypeError
from faregate.gateway.operation import BODY_LIMIT_BYTES, JSON, Operation

__all__ = ["BODY_LIMIT_BYTES", "NDJSON", "RawBody", "invalid", "read_body", "validate"]

ITEMS_LIMIT = 1000
NDJSON = "application/x-ndjson"
_UNREAD = object()
_CHUNK_SECONDS = 15.0
_BODY_SECONDS = 60.0

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class RawBody:
    """A body as it comes, for calls that read streams or several kinds: its media type, and its bytes, bounded."""

    request: Request
    media_type: str
    limit_bytes: int
    _content: Any = _UNREAD

    @property
    def is_stream(self) -> bool:
        """Whether it is lines without end, which nobody can look at before they are worked on."""
        return self.media_type == NDJSON

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read on; stops with `TooLargeError` at the limit, whatever Content-Length said."""
        size = 0
        stream = self.request.stream()
        while True:
            try:
                async with asyncio.timeout(_CHUNK_SECONDS):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise RequestTimeoutError(_CHUNK_SECONDS) from None
            if chunk is None:
                return
            size += len(chunk)
            if size > self.limit_bytes:
                raise TooLargeError(self.limit_bytes)
            yield chunk

    async def bytes(self) -> bytes:
        """Return all of it."""
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return b"".join([chunk async for chunk in self.chunks()])
        except TimeoutError:
            raise RequestTimeoutError(_BODY_SECONDS) from None

    async def json(self) -> Any:
        """Return all of it as exact JSON; read once, however often it is asked for."""
        if self._content is _UNREAD:
            self.limit_bytes = min(self.limit_bytes, BODY_LIMIT_BYTES)
            self._content = exact_json.loads(await self.bytes())
        return self._content


async def read_body(operation: Operation, request: Request) -> Any:
    """Return the body as `operation.body` wants it.

    Raises:
        UnsupportedMediaTypeError, TooLargeError, MalformedError, InvalidError.
    """
    consumes: Mapping[str, Any] = operation.consumes or {}
    raw = RawBody(request, _media_type(request, consumes), operation.body_limit_bytes)
    if operation.body is RawBody:
        return raw
    return validate(operation.body, await raw.json())


def validate(kind: Any, data: Any) -> Any:
    """Return `data` as `kind`, or raise `InvalidError` listing each wrong field; values are not repeated.

    `kind` is a model, a list of models, or either of both (`Model | list[Model]`).
    """
    wanted = _alternative(kind, data)
    if isinstance(data, list) and len(cast("list[Any]", data)) > ITEMS_LIMIT:
        raise InvalidError(f"an array of more than {ITEMS_LIMIT} items; send it in parts")
    try:
        return TypeAdapter(wanted).validate_python(data) if get_origin(wanted) else wanted.model_validate(data)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError, *, param: str | None = None) -> FaregateError:
    """Return what a validation error means to the caller; `param` names a value that has no fields of its own."""
    fields = [
        {
            "param": ".".join(map(str, problem["loc"])) or param or "body",
            "detail": problem["msg"].removeprefix("Value error, "),
        }
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    first = fields[0]
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    # no colon behind the name: `input_tokens: Input …` reads like a secret, and secrets are taken out of answers
    return InvalidError(f"{first['param']} is wrong: {first['detail']}{more}", param=first["param"], fields=fields)


def _alternative(kind: Any, data: Any) -> Any:
    """Return the half of `Model | list[Model]` that `data` looks like, so that a complaint is about that one."""
    if get_origin(kind) not in {Union, UnionType}:
        return kind
    return next(
        (choice for choice in get_args(kind) if (get_origin(choice) is list) == isinstance(data, list)),
        get_args(kind)[0],
    )


def _media_type(request: Request, consumes: Mapping[str, Any]) -> str:
    """Return the media type of the body among `consumes`; `application/…+json` passes for JSON, any charset but UTF-8 does not."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaTypeError(f"{kind}; charset=utf-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("a body without Content-Encoding")
    if kind in consumes:
        return kind
    if kind.endswith("+json") and JSON in consumes:
        return JSON
    raise UnsupportedMediaTypeError(" or ".join(consumes))
