"""Conversion of provider replies to JSON, and the usage in them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import isroutine
from typing import Any, cast

from faregate.client.errors import UnreadableReplyError
from faregate.wire.provider_usage import Reading, UnreadableUsageError, read_usage

__all__ = ["plain", "reading_of"]

_DUMPS = ("model_dump", "to_dict", "dict")
_DEPTH = 32


def plain(reply: Any) -> Mapping[str, Any]:
    """Return a reply (an SDK's object, the result of an agent, or JSON) as a mapping of plain JSON values.

    Raises:
        UnreadableReplyError: it is not an object that a provider or a framework returns.
    """
    found = _result(reply) or _object(reply)
    if found is None:
        raise UnreadableReplyError(
            f"a {type(reply).__name__} is not a reply of a provider; give the reply itself, or use `add(model, …)`",
            param="reply",
        )
    return {str(name): _leaf(value, 0) for name, value in found.items()}


def reading_of(body: Mapping[str, Any]) -> Reading | None:
    """Return the usage in a reply, or in the usage object itself; None if it holds no known form of usage.

    Raises:
        UnreadableReplyError: the form is known, but one of its counts is not a whole number from 0 to 10⁹.
    """
    try:
        return read_usage(body)
    except UnreadableUsageError as error:
        raise UnreadableReplyError(f"usage: {error}", param="usage") from None


def _result(reply: Any) -> Mapping[str, Any] | None:
    """Return the usage of an agent's run: results of pydantic-ai have a method for it, those of OpenAI Agents a context."""
    if isinstance(reply, Mapping):
        return None
    usage = _usage_of_run(reply)
    if usage is None:
        return None
    last = getattr(reply, "response", None)
    model = getattr(last, "model_name", None)
    return {"usage": usage, **({"model": model} if isinstance(model, str) else {})}


def _usage_of_run(reply: Any) -> Any:
    """Return the usage from the method or, in newer versions of pydantic-ai, from the property of a run with messages."""
    usage = getattr(reply, "usage", None)
    if isroutine(usage):
        return usage()
    if usage is not None and callable(getattr(reply, "all_messages", None)):
        return usage
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
    names = ("usage", "usage_metadata", "response_metadata")
    return (
        {name: getattr(value, name) for name in (*names, "model", "id") if hasattr(value, name)}
        if any(getattr(value, name, None) is not None for name in names)
        else None
    )


def _leaf(value: Any, depth: int) -> Any:
    """Return a part of a reply as a JSON value; a value without a JSON form is returned unchanged."""
    if value is None or isinstance(value, str | int | float) or depth > _DEPTH:
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, list | tuple):
        return [_leaf(item, depth + 1) for item in cast("list[Any]", value)]
    found = _object(value)
    return value if found is None else {str(name): _leaf(item, depth + 1) for name, item in found.items()}
