"""`wrap(openai_client)`: charging what a provider's SDK does, by one line.

Works with SDKs whose resources call `client.post` (OpenAI's and Anthropic's do), sync and async: it makes a copy of the
client and stands at that one door. Everything else of the client stays as it is, types included.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from faregate.client.errors import InvalidCall
from faregate.client.exact_json import mapping
from faregate.client.observer import Observer
from faregate.client.ride import Ride, current_ride
from faregate.client.streams import watch_async_stream, watch_stream

__all__ = ["Charger", "user_of", "wrap", "wrap_sdk"]

C = TypeVar("C")
log = logging.getLogger("faregate.client")

Charger = Callable[[Mapping[str, Any]], Any]
"""Makes the charge of one call from the body of its request; None where a ride must be there already."""

_METERED = ("/chat/completions", "/completions", "/responses", "/embeddings", "/messages")
"""The calls that use a model; others (files, token counts, …) pass unseen."""


def wrap(client: C) -> C:
    """Return a copy of an SDK's client whose replies and streams are observed by the ride of the current block.

    Raises (at a call that uses a model, outside of a block):
        InvalidCall: nobody would pay; put `credits.charge(…)` around it, or use `credits.wrap(client, feature)`.
    """
    return wrap_sdk(client, _nobody)


def wrap_sdk(client: C, charger: Charger) -> C:
    """Return a copy of `client`; calls outside of a ride's block get a charge of their own from `charger`."""
    copy: Any = cast("Any", client).with_options()
    door = _AsyncDoor if inspect.iscoroutinefunction(copy.post) else _SyncDoor
    copy.post = door(copy.post, charger).post
    copy.copy = copy.with_options = _rewrapping(copy.with_options, charger)
    return cast("C", copy)


def user_of(body: Mapping[str, Any]) -> str:
    """Return the user that the request itself names, as the providers have it.

    Raises:
        InvalidCall: it names none.
    """
    names = (body.get("user"), body.get("safety_identifier"), mapping(body.get("metadata")).get("user_id"))
    for user_id in names:
        if isinstance(user_id, str) and user_id:
            return user_id
    raise InvalidCall(
        "who pays? give `user_id` to `wrap`, or `user=…` (Anthropic: metadata) to the call", param="user_id"
    )


def _nobody(body: Mapping[str, Any]) -> Any:  # noqa: ARG001
    raise InvalidCall("who pays? put `credits.charge(…)` around the call, or use `credits.wrap(client, feature)`")


def _rewrapping(method: Callable[..., Any], charger: Charger) -> Callable[..., Any]:
    return lambda *arguments, **options: wrap_sdk(method(*arguments, **options), charger)


class _Door:
    """Where requests pass; what sync and async share."""

    def __init__(self, post: Callable[..., Any], charger: Charger) -> None:
        self._post = post
        self._charger = charger


class _AsyncDoor(_Door):
    async def post(self, path: str, **options: Any) -> Any:
        if not path.endswith(_METERED):
            return await self._post(path, **options)
        options, hide_usage = _asking_for_usage(path, options)
        ride = current_ride.get()
        if ride is not None:
            return await self._observed(ride, path, options, hide_usage, None)
        charge = self._charger(_body(options))
        ride = await charge.open()
        try:
            reply = await self._observed(ride, path, options, hide_usage, charge.finish)
        except BaseException as failure:
            await charge.finish(failure)
            raise
        if not options.get("stream"):
            await charge.finish()
        return reply

    async def _observed(
        self,
        ride: Ride,
        path: str,
        options: dict[str, Any],
        hide_usage: bool,
        finish: Callable[[BaseException | None], Awaitable[None]] | None,
    ) -> Any:
        reply = await self._post(path, **options)
        observer = ride.watcher()
        if not options.get("stream"):
            _note(observer, reply, _body(options))
        elif hasattr(reply, "_iterator"):
            watch_async_stream(reply, observer, finish, hide_usage=hide_usage)
        else:
            await self._untold(observer, options, finish)
        return reply

    async def _untold(self, observer: Observer, options: dict[str, Any], finish: Any) -> None:
        log.warning("a raw stream cannot be observed; the estimate is settled")
        observer.see_untold(_body(options).get("model"))
        if finish is not None:
            await finish(None)


class _SyncDoor(_Door):
    def post(self, path: str, **options: Any) -> Any:
        if not path.endswith(_METERED):
            return self._post(path, **options)
        options, hide_usage = _asking_for_usage(path, options)
        ride = current_ride.get()
        if ride is not None:
            return self._observed(ride, path, options, hide_usage, None)
        charge = self._charger(_body(options))
        ride = charge.open()
        try:
            reply = self._observed(ride, path, options, hide_usage, charge.finish)
        except BaseException as failure:
            charge.finish(failure)
            raise
        if not options.get("stream"):
            charge.finish()
        return reply

    def _observed(
        self,
        ride: Ride,
        path: str,
        options: dict[str, Any],
        hide_usage: bool,
        finish: Callable[[BaseException | None], None] | None,
    ) -> Any:
        reply = self._post(path, **options)
        observer = ride.watcher()
        if not options.get("stream"):
            _note(observer, reply, _body(options))
        elif hasattr(reply, "_iterator"):
            watch_stream(reply, observer, finish, hide_usage=hide_usage)
        else:
            log.warning("a raw stream cannot be observed; the estimate is settled")
            observer.see_untold(_body(options).get("model"))
            if finish is not None:
                finish(None)
        return reply


def _body(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(options.get("body"))


def _asking_for_usage(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Ask OpenAI's streams for their usage; tell whether the caller did not, and so must not see the answer."""
    body = _body(options)
    if not (options.get("stream") and path.endswith("/completions")):
        return options, False
    wanted = mapping(body.get("stream_options"))
    if wanted.get("include_usage"):
        return options, False
    return {**options, "body": {**body, "stream_options": {**wanted, "include_usage": True}}}, True


def _note(observer: Observer, reply: Any, body: Mapping[str, Any]) -> None:
    """Observe a whole reply, also a raw one; one that tells nothing must not break the host."""
    raw = getattr(reply, "http_response", None)
    try:
        observer.see(raw.json() if raw is not None else reply)
    except (TypeError, ValueError) as error:
        log.warning("a reply cannot be observed: %s", error)
        observer.see_untold(body.get("model"))
