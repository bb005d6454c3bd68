"""Usage events with the same fields, as columns. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.events.event import EventFields
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["GROUP_SIZE", "EventGroup", "ParsedEvents", "groups_of"]

GROUP_SIZE = 500
"""Largest number of events that are handled together: a wrong one costs the others of its group their faster way."""
_FEWEST = 8
"""With fewer events, handling them together takes longer than one by one."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events that have the same fields: their places in the call, and the values of each field, event by event."""

    places: Sequence[int]
    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.places)

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a field; None for each event if they do not have it."""
        return self.columns.get(name) or (None,) * len(self)

    def events(self) -> Iterable[tuple[int, EventFields]]:
        """Return each event with its place."""
        values = zip(*self.columns.values(), strict=True)
        return (
            (place, dict(zip(self.columns, row, strict=True))) for place, row in zip(self.places, values, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """The events of a call after validation: each place of the call is in a group, in `others` or in `errors`."""

    groups: Sequence[EventGroup]
    others: Sequence[tuple[int, EventFields]]
    errors: Mapping[int, InvalidError]

    def values(self, field: str) -> Iterable[Any]:
        """Return the values of a field of all valid events; events without it may be left out."""
        columns = (group.columns[field] for group in self.groups if field in group.columns)
        return chain(*columns, (event.get(field) for _, event in self.others))

    def without(self, refused: Mapping[str, InvalidError]) -> "ParsedEvents":
        """Return the events; those of a refused user or organisation (with its prefix) are replaced by the error."""
        kept: list[tuple[int, EventFields]] = []
        errors = dict(self.errors)
        for place, event in (*chain(*(group.events() for group in self.groups)), *self.others):
            organization = f"{ORGANIZATION_PREFIX}{event.get('organization_id')}"
            error = refused.get(event["user_id"]) or refused.get(organization)
            if error is None:
                kept.append((place, event))
            else:
                errors[place] = error
        return ParsedEvents((), kept, errors)


def groups_of(events: Sequence[Any] | Mapping[int, Any], places: Iterable[int]) -> list[EventGroup]:
    """Return the events at `places`, in groups of the same fields in the same order; too few of a kind are in no group."""
    kinds: dict[tuple[str, ...], list[int]] = {}
    for place in places:
        kinds.setdefault(tuple(events[place]), []).append(place)
    return [
        _group(fields, some[first : first + GROUP_SIZE], events)
        for fields, some in kinds.items()
        if len(some) >= _FEWEST
        for first in range(0, len(some), GROUP_SIZE)
    ]


def _group(fields: tuple[str, ...], places: Sequence[int], events: Sequence[Any] | Mapping[int, Any]) -> EventGroup:
    values = zip(*[events[place].values() for place in places], strict=True)
    return EventGroup(places, dict(zip(fields, values, strict=True)))
