"""Wrapping of SDK clients: `wrap(openai_client)`.

It works with SDKs whose resources call `client.post` and whose replies pass through `client._process_response`, sync and
async; OpenAI's and Anthropic's do. The client is copied and these two methods are replaced: a use begins in the first; each
HTTP response passes through the second before the SDK parses it. The rest of the client, types included, is unchanged.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast

from faregate.client.errors import InvalidError
from faregate.client.wrapping.entry_points import AsyncEntryPoint, Charger, SyncEntryPoint, Wrapping
from faregate.wire.exact_json import mapping

__all__ = ["Unmetered", "user_of", "wrap", "wrap_sdk"]

C = TypeVar("C")
log = logging.getLogger("faregate.client")

Unmetered = Literal["refuse", "warn", "pass"]
"""How to treat calls that cost money but whose reply reports no usage."""

_MARK = "_faregate_wrapping"


def wrap(client: C, *, unmetered: Unmetered = "warn") -> C:
    """Return a copy of an SDK's client whose replies and streams are observed by the session of the current block.

    A client made by `credits.wrap(…)` keeps its charging. For `unmetered` see `CreditsClient.wrap`.

    A call of a model outside of a block raises `InvalidError`, because there is no payer: put `credits.use(…)` around
    it, or use `credits.wrap(client, feature)`.
    """
    return wrap_sdk(client, None, unmetered=unmetered)


def wrap_sdk(client: C, charger: Charger | None, *, unmetered: Unmetered, asynchronous: bool | None = None) -> C:
    """Return a copy of `client`; each call outside of a `charge` block gets its own charge from `charger`.

    Args:
        asynchronous: the kind of client that `charger` works with; None for both.

    Raises:
        InvalidError: `client` is not a client of a supported SDK, or it is of the other kind.
    """
    earlier: Wrapping | None = getattr(client, _MARK, None)
    inner: Any = earlier.inner if earlier is not None else client
    copy = _copy_of(inner, asynchronous)
    charger = charger or (earlier.charger if earlier is not None else None)
    wrapping = Wrapping(inner, charger, lambda what: _unmetered(what, unmetered))
    entry_point = (AsyncEntryPoint if inspect.iscoroutinefunction(copy.post) else SyncEntryPoint)(wrapping, copy)
    copy.post, copy._process_response = entry_point.post, entry_point.process_response  # noqa: SLF001  the SDK has no public hook
    copy.copy = copy.with_options = _rewrapping(inner.with_options, charger, unmetered)
    setattr(copy, _MARK, wrapping)
    _watch_websockets(copy, wrapping)
    return cast("C", copy)


def user_of(body: Mapping[str, Any]) -> str:
    """Return the user that the request names in the provider's own fields.

    Raises:
        InvalidError: the request names no user.
    """
    names = (body.get("user"), body.get("safety_identifier"), mapping(body.get("metadata")).get("user_id"))
    for user_id in names:
        if isinstance(user_id, str) and user_id:
            return user_id
    raise InvalidError(
        "who pays? give `user_id` to `wrap`, or `user=…` (Anthropic: metadata) to the call", param="user_id"
    )


def _rewrapping(method: Callable[..., Any], charger: Charger | None, unmetered: Unmetered) -> Callable[..., Any]:
    def rewrapped(*arguments: Any, **options: Any) -> Any:
        return wrap_sdk(method(*arguments, **options), charger, unmetered=unmetered)

    return rewrapped


def _copy_of(client: Any, asynchronous: bool | None) -> Any:
    if not all(callable(getattr(client, name, None)) for name in ("with_options", "post", "_process_response")):
        raise InvalidError(
            f"a {type(client).__name__} cannot be wrapped; wrap a client of OpenAI's or Anthropic's SDK, "
            "or observe its replies",
            param="client",
        )
    is_async = inspect.iscoroutinefunction(client.post)
    if asynchronous is not None and is_async is not asynchronous:
        kind, other = ("an async", "SyncCreditsClient") if is_async else ("a sync", "CreditsClient")
        suitable = "CreditsClient" if is_async else "SyncCreditsClient"
        raise InvalidError(
            f"{type(client).__name__} is {kind} client, this is a {other}; use a {suitable}, or the SDK's other client",
            param="client",
        )
    return client.with_options()


def _unmetered(what: str, choice: Unmetered) -> None:
    """Refuse or log a call whose usage is not reported.

    Raises:
        InvalidError: `choice` is "refuse".
    """
    if choice == "refuse":
        refusal = InvalidError(
            f"{what} may cost money, but its reply reports no usage; call it on a client that is not wrapped and settle "
            'what it costs, or wrap with unmetered="warn" or "pass"',
            param="unmetered",
        )
        refusal.code = "unmetered"
        raise refusal
    if choice == "warn":
        log.warning("%s may cost money, but its reply reports no usage: it is not charged", what)


def _watch_websockets(copy: Any, wrapping: Wrapping) -> None:
    """Treat connections by WebSocket as unmetered; the SDK reads `websocket_base_url` before each of them."""
    if not hasattr(copy, "websocket_base_url"):
        return
    kind = cast("type[Any]", type(copy))

    def websocket_base_url(self: Any) -> Any:
        wrapping.unmetered("a connection by WebSocket")
        return cast("dict[str, Any]", vars(self))["websocket_base_url"]

    copy.__class__ = type(kind.__name__, (kind,), {"websocket_base_url": property(websocket_base_url)})
