"""Replies of providers as JSON, and the usage in them."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, cast

from faregate.client.errors import UnreadableReply
from faregate.wire.provider_usage import Reading, UnreadableUsageError, read_usage

__all__ = ["plain", "reading_of"]


def plain(reply: Any) -> Mapping[str, Any]:
    """Return a reply (an SDK's object, or JSON) as a mapping, or raise TypeError."""
    if isinstance(reply, Mapping):
        return cast("Mapping[str, Any]", reply)
    for name in ("model_dump", "to_dict", "dict"):
        dump = getattr(reply, name, None)
        if callable(dump):
            return cast("Mapping[str, Any]", dump())
    if is_dataclass(reply) and not isinstance(reply, type):
        return asdict(reply)
    raise TypeError(f"a {type(reply).__name__} is no reply of a provider; give the reply itself, or `add(model, …)`")


def reading_of(body: Mapping[str, Any]) -> Reading | None:
    """Return what a reply, or the usage object itself, says was used; None if no known form of usage is in it.

    Raises:
        UnreadableReply: a form is known, but one of its counts is no whole number from 0 to 10⁹.
    """
    try:
        return read_usage(body)
    except UnreadableUsageError as error:
        raise UnreadableReply(f"usage: {error}", code="unreadable_reply", param="usage") from None
