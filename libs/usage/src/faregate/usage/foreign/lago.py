"""Events as Lago takes them: one, or several in a batch. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.usage.foreign.rules import ForeignEvent

__all__ = ["LAGO_BATCH_LIMIT", "LAGO_SOURCE", "lago_event", "lago_events_in"]

LAGO_BATCH_LIMIT = 100
LAGO_SOURCE = "lago"
"""The source of events from Lago's clients, whose `transaction_id` is the id."""

_NAME_LENGTH = 512


def lago_events_in(data: Any) -> list[ForeignEvent | InvalidError]:
    """Return the events of `{"events": […]}`; an event that is not one is an error in its place.

    Raises:
        InvalidError: `events` is missing, empty or longer than 100.
    """
    listed: Any = cast("Mapping[str, Any]", data).get("events") if isinstance(data, Mapping) else None
    if not isinstance(listed, list) or not 0 < len(cast("list[Any]", listed)) <= LAGO_BATCH_LIMIT:
        raise InvalidError(f"events is required: an array of 1 to {LAGO_BATCH_LIMIT} events", param="events")
    return [_event_or_error(item) for item in cast("list[Any]", listed)]


def lago_event(item: Any) -> ForeignEvent:
    """Return one event.

    Raises:
        InvalidError: a field is missing or has another type; `param` names it.
    """
    if not isinstance(item, Mapping):
        raise InvalidError("event is required: an object", param="event")
    fields = cast("Mapping[str, Any]", item)
    for name in ("transaction_id", "code"):
        value = fields.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _NAME_LENGTH:
            raise InvalidError(f"{name} is required: a text of 1 to {_NAME_LENGTH} characters", param=name)
    if not isinstance(fields.get("properties", {}), Mapping | None):
        raise InvalidError("properties must be an object", param="properties")
    return ForeignEvent("lago", LAGO_SOURCE, fields["transaction_id"], fields)


def _event_or_error(item: Any) -> ForeignEvent | InvalidError:
    try:
        return lago_event(item)
    except InvalidError as error:
        return error
