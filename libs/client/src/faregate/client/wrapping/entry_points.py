"""Entry points of a wrapped SDK client: `post` and `process_response`."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from faregate.client.charge_session import ChargeSession, current_charge_session
from faregate.client.errors import InvalidError
from faregate.client.replies.estimating import request_tokens
from faregate.client.replies.observer import Observer
from faregate.client.wrapping.endpoints import kind_of, route_of
from faregate.client.wrapping.readers import reader_for, see_json
from faregate.client.wrapping.streams import watch_async_response, watch_response
from faregate.wire.exact_json import mapping

__all__ = ["AsyncEntryPoint", "Charger", "SyncEntryPoint", "Wrapping"]

Charger = Callable[[Mapping[str, Any]], Any]
"""Makes the charge of one call from the body of the call's request."""

_BY_TEXT = frozenset(
    {"chat/completions", "completions", "decisions", "embeddings", "messages", "responses", "responses/compact"}
)
"""Endpoints whose input is priced by the text of the request."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How a client is wrapped.

    Attributes:
        inner: the client before it was wrapped.
        charger: charges calls outside of a `charge` block; None if calls must be inside of one.
        unmetered: refuses or logs a call whose usage is not reported.
    """

    inner: Any
    charger: Charger | None
    unmetered: Callable[[str], None]


@dataclass
class _Call:
    """One call of the SDK. `pending`: its response is not complete when `post` returns."""

    observer: Observer
    hide_usage: bool
    charge: Any = None
    pending: bool = False


_current_call: ContextVar[_Call | None] = ContextVar("faregate_call", default=None)


class _EntryPoint:
    """Base of the entry points of sync and async clients."""

    def __init__(self, wrapping: Wrapping, client: Any) -> None:
        self._wrapping = wrapping
        self._post = client.post
        self._process = client._process_response  # noqa: SLF001  the SDK has no public hook

    def _is_metered(self, path: str, body: Mapping[str, Any]) -> bool:
        """Return whether the reply reports the usage of the call; a response in the background reports it only later."""
        kind = kind_of(path)
        if kind == "free":
            return False
        if kind == "metered" and not body.get("background"):
            return True
        self._wrapping.unmetered(f"POST /{route_of(path)}" + (" in the background" if kind == "metered" else ""))
        return False

    def _block_session(self, *, blocking: bool) -> ChargeSession | None:
        """Return the open session of the current block, or None.

        Raises:
            InvalidError: the session belongs to the other kind of client, or it has ended and there is no other payer.
        """
        session = current_charge_session.get()
        if session is None:
            return None
        if not session.running:
            if self._wrapping.charger is None:
                raise InvalidError(
                    f"who pays? the charge session {session.usage_key} has ended; finish its calls within its block, "
                    "or use `credits.wrap(client, feature)`"
                )
            return None
        if session.blocking is not blocking and (session.blocking or _in_event_loop()):
            ours, theirs = ("a sync", "an async") if blocking else ("an async", "a sync")
            raise InvalidError(
                f"{ours} client of an SDK is called within the block of {theirs} charge; use both sync or both async"
            )
        return session

    def _charge(self, body: Mapping[str, Any]) -> Any:
        if self._wrapping.charger is None:
            raise InvalidError("who pays? put `credits.use(…)` around the call, or use `credits.wrap(client, feature)`")
        return self._wrapping.charger(body)


class AsyncEntryPoint(_EntryPoint):
    """Entry points of an async client."""

    async def post(self, path: str, **options: Any) -> Any:
        """Make a call; charge it, or let the session of the current block observe it."""
        body = mapping(options.get("body"))
        if not self._is_metered(path, body):
            return await self._post(path, **options)
        session = self._block_session(blocking=False)
        charge = self._charge(body) if session is None else None
        if charge is not None:
            session = await charge.open()
        options, hide_usage = _asking_for_usage(path, options)
        call = _Call(_observer(session, path, body), hide_usage, charge)
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
        """Observe an HTTP response before the SDK parses it."""
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


class SyncEntryPoint(_EntryPoint):
    """Entry points of a sync client."""

    def post(self, path: str, **options: Any) -> Any:
        """See `AsyncEntryPoint.post`."""
        body = mapping(options.get("body"))
        if not self._is_metered(path, body):
            return self._post(path, **options)
        session = self._block_session(blocking=True)
        charge = self._charge(body) if session is None else None
        if charge is not None:
            session = charge.open()
        options, hide_usage = _asking_for_usage(path, options)
        call = _Call(_observer(session, path, body), hide_usage, charge)
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
        """Observe an HTTP response before the SDK parses it."""
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


def _observer(session: ChargeSession | None, path: str, body: Mapping[str, Any]) -> Observer:
    assert session is not None  # noqa: S101  the session of the block or of the charge
    model = body.get("model")
    tokens = request_tokens(body) if route_of(path) in _BY_TEXT else None
    return session.watcher(model if isinstance(model, str) else None, tokens)


def _failed(call: _Call, failure: BaseException) -> None:
    """Record a failed request: it is charged only if a reply was received, or if the caller cancelled it, since the provider may
    have answered.
    """
    if isinstance(failure, Exception):
        call.observer.fail()
    else:
        call.observer.break_off()


def _asking_for_usage(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Make OpenAI's streams report their usage; return whether the caller did not ask for it, so that the report is hidden."""
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
