"""Server-sent events of answers that change."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.gateway.errors import UnauthenticatedError
from faregate.wire import exact_json

__all__ = ["ENDLESS", "EVENT_STREAM", "event_stream"]

EVENT_STREAM = "text/event-stream"
ENDLESS = "endless"
"""Key in a request's state: the answer has no end of its own, so that a server that stops ends it."""

_COMMENT_SECONDS = 15.0
_CHECK_SECONDS = 15.0
_RETRY = b"retry: 2000\n\n"


async def event_stream(
    request: Request,
    *,
    first: Any,
    version: Callable[[], Awaitable[str | None]],
    answer: Callable[[], Awaitable[Any]],
    may_continue: Callable[[], Awaitable[None]],
    every: float,
    limit: int,
) -> AsyncGenerator[bytes]:
    """Yield `first`, then an answer after each change of `version`, not more often than `every` seconds.

    A version of None counts as changed. While the database is unavailable, nothing is sent.

    Args:
        limit: how many answers are sent.
        may_continue: raises `UnauthenticatedError` when the caller's credential has ended; the stream then ends.
    """
    request.scope["state"][ENDLESS] = True
    seen = await version()
    yield _RETRY + _event(first, seen)
    sent = 1
    comment, check = Deadline(_COMMENT_SECONDS), Deadline(_CHECK_SECONDS)
    while sent < limit and not await _is_gone(request, every):
        try:
            if check.passed:
                await may_continue()
                check = Deadline(_CHECK_SECONDS)
            now = await version()
            if now is None or now != seen:
                seen, sent = now, sent + 1
                yield _event(await answer(), now)
            elif comment.passed:
                yield b": no change\n\n"
            else:
                continue
            comment = Deadline(_COMMENT_SECONDS)
        except UnauthenticatedError:
            return
        except EngineUnavailableError:
            continue


async def _is_gone(request: Request, seconds: float) -> bool:
    """Wait; return whether the client has disconnected, or the server is stopping."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _event(answer: Any, version: str | None) -> bytes:
    name = f"id: {version}\n".encode() if version is not None else b""
    return b"event: usage\n" + name + b"data: " + _json(answer) + b"\n\n"


def _json(answer: Any) -> bytes:
    return orjson.dumps(answer.model_dump(), default=_exact, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _exact(value: Any) -> Any:
    return orjson.Fragment(exact_json.written(value))
