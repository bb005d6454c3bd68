"""Replies of providers and frameworks as JSON, and the usage in them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import isroutine
from typing import Any, cast

from faregate.client.errors import UnreadableReply
from faregate.wire.provider_usage import Reading, UnreadableUsageError, read_usage

__all__ = ["plain", "reading_of"]

_DUMPS = ("model_dump", "to_dict", "dict")
_DEPTH = 32


def plain(reply: Any) -> Mapping[str, Any]:
    """Return a reply (an SDK's object, the result of an agent, or JSON) as a mapping, to its leaves.

    Raises:
        UnreadableReply: it is nothing that a provider or a framework returns.
    """
    found = _result(reply) or _object(reply)
    if found is None:
        raise UnreadableReply(
            f"a {type(reply).__name__} is no reply of a provider; give the reply itself, or `add(model, …)`",
            code="unreadable_reply",
            param="reply",
        )
    return {str(name): _leaf(value, 0) for name, value in found.items()}


def reading_of(body: Mapping[str, Any]) -> Reading | None:
    """Return what a reply, or the usage object itself, says was used; None if no known form of usage is in it.

    Raises:
        UnreadableReply: a form is known, but one of its counts is no whole number from 0 to 10⁹.
    """
    try:
        return read_usage(body)
    except UnreadableUsageError as error:
        raise UnreadableReply(f"usage: {error}", code="unreadable_reply", param="usage") from None


def _result(reply: Any) -> Mapping[str, Any] | None:
    """Return the usage of a run of an agent: pydantic-ai's results have a method for it, OpenAI Agents' a context."""
    if isinstance(reply, Mapping):
        return None
    usage = _usage_of_run(reply)
    if usage is None:
        return None
    last = getattr(reply, "response", None)
    model = getattr(last, "model_name", None)
    return {"usage": usage, **({"model": model} if isinstance(model, str) else {})}


def _usage_of_run(reply: Any) -> Any:
    """Return it from a method, or, as newer versions of pydantic-ai have it, from a property of what has messages."""
    told = getattr(reply, "usage", None)
    if isroutine(told):
        return told()
    if told is not None and callable(getattr(reply, "all_messages", None)):
        return told
    return getattr(getattr(reply, "context_wrapper", None), "usage", None)


def _object(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    if isinstance(value, type):
        return None
    for name in _DUMPS:
        dump = getattr(value, name, None)
        if callable(dump):
            dumped = dump()
            return cast("Mapping[Any, Any]", dumped) if isinstance(dumped, Mapping) else None
    if is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in fields(value)}
    told = ("usage", "usage_metadata", "response_metadata")
    return (
        {name: getattr(value, name) for name in (*told, "model", "id") if hasattr(value, name)}
        if any(getattr(value, name, None) is not None for name in told)
        else None
    )


def _leaf(value: Any, depth: int) -> Any:
    """Return a part of a reply as JSON has it; what has no form in JSON stays as it is."""
    if value is None or isinstance(value, str | int | float) or depth > _DEPTH:
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, list | tuple):
        return [_leaf(item, depth + 1) for item in cast("list[Any]", value)]
    found = _object(value)
    return value if found is None else {str(name): _leaf(item, depth + 1) for name, item in found.items()}
