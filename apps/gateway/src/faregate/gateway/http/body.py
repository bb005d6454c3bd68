"""Request bodies: size limits, gzip, exact JSON, validation."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request

from faregate.core.errors import FaregateError, InvalidError
from faregate.core.runtime.time_limit import within
from faregate.core.values.json_items import ITEMS_LIMIT, load_items
from faregate.gateway.errors import (
    RequestTimeoutError,
    TooLargeError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)
from faregate.gateway.http.inflating import Inflater
from faregate.gateway.http.operation import BODY_LIMIT_BYTES, JSON, Operation
from faregate.wire import exact_json

__all__ = ["BODY_LIMIT_BYTES", "ITEMS_LIMIT", "NDJSON", "RawBody", "invalid", "read_body", "validate"]

NDJSON = "application/x-ndjson"
_PROBLEMS_LISTED = 100
_NAME_SHOWN = 200
_CODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}
_CHUNK_SECONDS = 15.0
_BODY_SECONDS = 60.0

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class RawBody:
    """An unparsed body, for calls that read streams or several media types: its media type and its bytes, up to a limit.

    `limit_bytes` applies to the bytes that are sent and to the bytes of a gzip body after decompression.
    """

    request: Request
    media_type: str
    limit_bytes: int
    is_gzip: bool = False
    _content: bytes | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it is newline-delimited JSON, which is processed while it arrives and cannot be read as a whole first."""
        return self.media_type == NDJSON

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the body; raises `TooLargeError` at the limit, whatever Content-Length says."""
        if not self.is_gzip:
            async for chunk in self._sent():
                yield chunk
            return
        size, inflater = 0, Inflater()
        async for chunk in self._sent():
            for piece in inflater.feed(chunk):
                size += len(piece)
                self._check_size(size)
                yield piece
                await asyncio.sleep(0)  # a small gzip body may decompress to a very large one
        for piece in inflater.end():
            yield piece

    async def _sent(self, size: int = 0) -> AsyncIterator[bytes]:
        """Yield the chunks that are still to come, after `size` bytes."""
        is_last = False
        while not is_last:
            chunk, is_last = await self._received()
            size += len(chunk)
            self._check_size(size)
            if chunk:
                yield chunk

    async def _whole(self) -> bytes:
        """Return all chunks together; most bodies are one chunk, and need no generators."""
        if self.is_gzip:
            return b"".join([chunk async for chunk in self.chunks()])
        first, is_last = await self._received()
        self._check_size(len(first))
        return first if is_last else b"".join([first, *[chunk async for chunk in self._sent(len(first))]])

    def _check_size(self, size: int) -> None:
        if size > self.limit_bytes:
            raise TooLargeError(self.limit_bytes)

    async def _received(self) -> tuple[bytes, bool]:
        """Return the next chunk, and whether it is the last one."""
        try:
            message = await within(_CHUNK_SECONDS, self.request.receive())
        except TimeoutError:
            raise RequestTimeoutError(_CHUNK_SECONDS) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), not message.get("more_body", False)

    async def bytes(self, *, limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
        """Return the whole body; it is read once, and later calls return the same bytes."""
        if self._content is None:
            self.limit_bytes = min(self.limit_bytes, limit_bytes)
            try:
                self._content = await within(_BODY_SECONDS, self._whole())
            except TimeoutError:
                raise RequestTimeoutError(_BODY_SECONDS) from None
        return self._content

    async def json(self) -> Any:
        """Return the whole body as exact JSON."""
        return exact_json.loads(await self.bytes())

    async def items(self, *, mend: bool = False) -> Any:
        """Return the whole body as exact JSON; an item of an array that cannot be read is an `Unreadable` in its place."""
        return load_items(await self.bytes(), mend=mend)


async def read_body(operation: Operation, request: Request) -> Any:
    """Return the body as the type `operation.body`.

    Raises:
        UnsupportedMediaTypeError, TooLargeError, MalformedError, InvalidError.
    """
    consumes: Mapping[str, Any] = operation.consumes or {}
    raw = RawBody(request, _media_type(request, consumes), operation.body_limit_bytes, is_gzip=_is_gzip(request))
    if operation.body is RawBody:
        return raw
    return validate(operation.body, await raw.json())


def validate(kind: Any, data: Any) -> Any:
    """Return `data` as `kind`, or raise `InvalidError` listing each wrong field; values are not repeated.

    `kind` is a model, a list of models, or either of both (`Model | list[Model]`).
    """
    wanted = kind if isinstance(kind, type) else _alternative(kind, data)
    model = cast("type[BaseModel]", wanted) if isinstance(wanted, type) else None
    if isinstance(data, list) and len(cast("list[Any]", data)) > ITEMS_LIMIT:
        raise InvalidError(f"an array of more than {ITEMS_LIMIT} items; send it in parts")
    try:
        return model.model_validate(data) if model is not None else TypeAdapter(wanted).validate_python(data)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError, *, param: str | None = None) -> FaregateError:
    """Return the `InvalidError` for a validation error; `param` names a value that has no fields of its own."""
    fields = [
        {
            "param": ".".join(map(str, problem["loc"]))[:_NAME_SHOWN] or param or "body",
            "detail": problem["msg"].removeprefix("Value error, "),
        }
        for problem in error.errors(include_input=False, include_url=False, include_context=False)[:_PROBLEMS_LISTED]
    ]
    first, count = fields[0], error.error_count()
    more = f" (and {count - 1} more)" if count > 1 else ""
    unlisted = {"unlisted": count - len(fields)} if count > len(fields) else {}
    # no colon after the name: `input_tokens: Input …` looks like a secret, and secrets are removed from answers
    return InvalidError(
        f"{first['param']} is wrong: {first['detail']}{more}", param=first["param"], fields=fields, **unlisted
    )


def _alternative(kind: Any, data: Any) -> Any:
    """Return the alternative of `Model | list[Model]` that `data` resembles, so that the error refers to that one."""
    if get_origin(kind) not in {Union, UnionType}:
        return kind
    return next(
        (choice for choice in get_args(kind) if (get_origin(choice) is list) == isinstance(data, list)),
        get_args(kind)[0],
    )


def _media_type(request: Request, consumes: Mapping[str, Any]) -> str:
    """Return the media type of the body among `consumes`; `application/…+json` counts as JSON; only UTF-8 is accepted."""
    given = request.headers.get("content-type", "")
    if given in consumes:
        return given
    kind, _, parameters = given.lower().partition(";")
    kind = kind.strip()
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaTypeError(f"{kind}; charset=utf-8")
    if kind in consumes:
        return kind
    if kind.endswith("+json") and JSON in consumes:
        return JSON
    raise UnsupportedMediaTypeError(" or ".join(consumes))


def _is_gzip(request: Request) -> bool:
    """Tell whether the body is gzip, the only content coding that is accepted."""
    coding = request.headers.get("content-encoding")
    if coding is None:
        return False
    coding = coding.strip().lower()
    if coding not in _CODINGS:
        raise UnsupportedEncodingError
    return _CODINGS[coding]
