"""CloudEvents as OpenMeter takes them: structured, batched, binary. Pure."""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

from faregate.core.errors import InvalidError
from faregate.core.values.json_items import Unreadable
from faregate.usage.events.terms import RESERVED, is_reserved
from faregate.usage.foreign.rules import ForeignEvent

__all__ = ["binary_event", "cloud_event", "cloud_events_in", "is_binary"]

_NAME_LENGTH = 512
_PREFIX = "ce-"
_REQUIRED = ("specversion", "type", "source", "id", "subject")


def cloud_events_in(data: Any) -> list[ForeignEvent | InvalidError]:
    """Return the events of a body: one object, or an array of them; an event that is not one is an error in its place."""
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    return [_event_or_error(item) for item in items]


def cloud_event(item: Any) -> ForeignEvent:
    """Return one event.

    Raises:
        InvalidError: an attribute is missing or has another type.
    """
    if isinstance(item, Unreadable):
        raise InvalidError(item.error.detail)
    if not isinstance(item, Mapping):
        raise InvalidError("an event must be an object")
    envelope = cast("Mapping[str, Any]", item)
    for name in _REQUIRED:
        _check_text(envelope, name)
    if envelope["specversion"] != "1.0":
        raise InvalidError("specversion must be 1.0", param="specversion")
    if is_reserved(envelope["source"]):
        raise InvalidError(f"source {RESERVED}", param="source")
    if "data_base64" in envelope or not isinstance(envelope.get("data", {}), Mapping | None):
        raise InvalidError("data must be an object; events with other data are not usage", param="data")
    return ForeignEvent("cloud_event", envelope["source"], envelope["id"], envelope)


def is_binary(headers: Mapping[str, str]) -> bool:
    """Return whether a request carries its event's attributes in headers, and the data alone in its body."""
    return f"{_PREFIX}specversion" in headers


def binary_event(headers: Mapping[str, str], data: Any) -> ForeignEvent:
    """Return the event of a request in binary mode.

    Raises:
        InvalidError: an attribute is missing, or the data is not an object.
    """
    names = {name.lower(): value for name, value in headers.items()}
    attributes = {n.removeprefix(_PREFIX): unquote(v) for n, v in names.items() if n.startswith(_PREFIX)}
    return cloud_event({**attributes, "data": data})


def _event_or_error(item: Any) -> ForeignEvent | InvalidError:
    try:
        return cloud_event(item)
    except InvalidError as error:
        return error


def _check_text(envelope: Mapping[str, Any], name: str) -> None:
    value = envelope.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_LENGTH:
        raise InvalidError(f"{name} is required: a text of 1 to {_NAME_LENGTH} characters", param=name)
