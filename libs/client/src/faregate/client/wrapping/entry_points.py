"""The two doors of a wrapped SDK client: where a call begins, and where its HTTP response passes."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from faregate.client.charge_session import Ride, current_ride
from faregate.client.errors import InvalidCall
from faregate.client.replies.estimating import request_tokens
from faregate.client.replies.observer import Observer
from faregate.client.wrapping.endpoints import kind_of, route_of
from faregate.client.wrapping.readers import reader_for, see_json
from faregate.client.wrapping.streams import watch_async_response, watch_response
from faregate.wire.exact_json import mapping

__all__ = ["AsyncDoor", "Charger", "SyncDoor", "Wrapping"]

Charger = Callable[[Mapping[str, Any]], Any]
"""Makes the charge of one call from the body of its request."""

_BY_TEXT = frozenset(
    {"chat/completions", "completions", "decisions", "embeddings", "messages", "responses", "responses/compact"}
)
"""Where the text of the request is what the input is priced by."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How a client is wrapped.

    Attributes:
        inner: the client as it was.
        charger: for calls outside of a ride's block; None where there must be one.
        unmetered: refuses or announces a call whose usage nobody tells.
    """

    inner: Any
    charger: Charger | None
    unmetered: Callable[[str], None]


@dataclass
class _Call:
    """One call on its way through the SDK; `pending`: its response is not over when `post` returns."""

    observer: Observer
    hide_usage: bool
    charge: Any = None
    pending: bool = False


_current_call: ContextVar[_Call | None] = ContextVar("faregate_call", default=None)


class _Door:
    """What sync and async share."""

    def __init__(self, wrapping: Wrapping, client: Any) -> None:
        self._wrapping = wrapping
        self._post = client.post
        self._process = client._process_response  # noqa: SLF001  no other seam

    def _is_metered(self, path: str, body: Mapping[str, Any]) -> bool:
        """Tell whether the reply says what the call used; a response in the background says it only later."""
        kind = kind_of(path)
        if kind == "free":
            return False
        if kind == "metered" and not body.get("background"):
            return True
        self._wrapping.unmetered(f"POST /{route_of(path)}" + (" in the background" if kind == "metered" else ""))
        return False

    def _ride(self, *, blocking: bool) -> Ride | None:
        """Return the ride of the current block; one that has ended is none.

        Raises:
            InvalidCall: it belongs to the other kind of client, or it has ended and there is no other payer.
        """
        ride = current_ride.get()
        if ride is None:
            return None
        if not ride.running:
            if self._wrapping.charger is None:
                raise InvalidCall(
                    f"who pays? the ride {ride.usage_key} has ended; finish its calls within its block, "
                    "or use `credits.wrap(client, feature)`"
                )
            return None
        if ride.blocking is not blocking and (ride.blocking or _in_event_loop()):
            ours, theirs = ("a sync", "an async") if blocking else ("an async", "a sync")
            raise InvalidCall(
                f"{ours} client of an SDK is called within the block of {theirs} ride; use both sync or both async"
            )
        return ride

    def _charge(self, body: Mapping[str, Any]) -> Any:
        if self._wrapping.charger is None:
            raise InvalidCall(
                "who pays? put `credits.charge(…)` around the call, or use `credits.wrap(client, feature)`"
            )
        return self._wrapping.charger(body)


class AsyncDoor(_Door):
    """The doors of an async client."""

    async def post(self, path: str, **options: Any) -> Any:
        """Make a call; charge it, or have it observed by the ride of the current block."""
        body = mapping(options.get("body"))
        if not self._is_metered(path, body):
            return await self._post(path, **options)
        ride = self._ride(blocking=False)
        charge = self._charge(body) if ride is None else None
        if charge is not None:
            ride = await charge.open()
        options, hide_usage = _asking_for_usage(path, options)
        call = _Call(_observer(ride, path, body), hide_usage, charge)
        token = _current_call.set(call)
        try:
            reply = await self._post(path, **options)
        except BaseException as failure:
            _failed(call, failure)
            if charge is not None:
                await charge.finish(failure)
            raise
        finally:
            _current_call.reset(token)
        if charge is not None and not call.pending:
            await charge.finish()
        return reply

    async def process_response(self, **given: Any) -> Any:
        """Observe a response before the SDK parses it."""
        call = _current_call.get()
        if call is not None:
            self._observe(call, given["response"])
        return await self._process(**given)

    def _observe(self, call: _Call, response: Any) -> None:
        if response.is_closed:
            see_json(call.observer, response.content)
            return
        call.pending = True
        reader = reader_for(response.headers.get("content-type", ""), call.observer, hide_usage=call.hide_usage)
        charge = call.charge
        if charge is None:
            watch_async_response(response, reader, None, None)
        else:
            watch_async_response(response, reader, charge.finish, charge.abandon)


class SyncDoor(_Door):
    """The doors of a sync client."""

    def post(self, path: str, **options: Any) -> Any:
        """See `AsyncDoor.post`."""
        body = mapping(options.get("body"))
        if not self._is_metered(path, body):
            return self._post(path, **options)
        ride = self._ride(blocking=True)
        charge = self._charge(body) if ride is None else None
        if charge is not None:
            ride = charge.open()
        options, hide_usage = _asking_for_usage(path, options)
        call = _Call(_observer(ride, path, body), hide_usage, charge)
        token = _current_call.set(call)
        try:
            reply = self._post(path, **options)
        except BaseException as failure:
            _failed(call, failure)
            if charge is not None:
                charge.finish(failure)
            raise
        finally:
            _current_call.reset(token)
        if charge is not None and not call.pending:
            charge.finish()
        return reply

    def process_response(self, **given: Any) -> Any:
        """Observe a response before the SDK parses it."""
        call = _current_call.get()
        if call is not None:
            self._observe(call, given["response"])
        return self._process(**given)

    def _observe(self, call: _Call, response: Any) -> None:
        if response.is_closed:
            see_json(call.observer, response.content)
            return
        call.pending = True
        reader = reader_for(response.headers.get("content-type", ""), call.observer, hide_usage=call.hide_usage)
        charge = call.charge
        if charge is None:
            watch_response(response, reader, None, None)
        else:
            watch_response(response, reader, charge.finish, charge.abandon)


def _observer(ride: Ride | None, path: str, body: Mapping[str, Any]) -> Observer:
    assert ride is not None  # noqa: S101  either the block's or the charge's
    model = body.get("model")
    asked = request_tokens(body) if route_of(path) in _BY_TEXT else None
    return ride.watcher(model if isinstance(model, str) else None, asked)


def _failed(call: _Call, failure: BaseException) -> None:
    """A request that failed is owed only if a reply came; one that its caller cancelled may well have been answered."""
    if isinstance(failure, Exception):
        call.observer.fail()
    else:
        call.observer.break_off()


def _asking_for_usage(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Ask OpenAI's streams for their usage; tell whether the caller did not, and so must not see the answer."""
    body = mapping(options.get("body"))
    if not (body.get("stream") and route_of(path) in {"chat/completions", "completions"}):
        return options, False
    wanted = mapping(body.get("stream_options"))
    if wanted.get("include_usage"):
        return options, False
    return {**options, "body": {**body, "stream_options": {**wanted, "include_usage": True}}}, True


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
