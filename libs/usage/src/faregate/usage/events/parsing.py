"""Validation of many usage events at once."""

from collections.abc import Iterable, Mapping, Sequence
from types import GenericAlias
from typing import Any, NotRequired, Required, cast

from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import credentials_in
from faregate.usage.events.event import NAMES, EventFields, UsageEvent, refusal_of
from faregate.usage.events.groups import EventGroup, ParsedEvents, groups_of
from faregate.wire.count_names import ALIASES, unknown_name

__all__ = ["parse_event", "parse_events"]

_MANY_FIELDS = 64
_TOO_MANY = f"event: has more than {_MANY_FIELDS} fields; put your own data into metadata or tags"


def _fields() -> TypeAdapter[list[EventFields]]:
    """Return a validator like `UsageEvent` that returns dicts, because creating the objects takes half of the time."""
    fields = {
        name: Required[field.rebuild_annotation()] if field.is_required() else NotRequired[field.rebuild_annotation()]
        for name, field in UsageEvent.model_fields.items()
    }
    make: Any = TypedDict
    kind: Any = with_config(extra="forbid")(make("UsageEvent", fields))
    form: Any = GenericAlias(list, (kind,))
    return TypeAdapter(form)


_EVENTS = _fields()


def _column(kind: Any) -> TypeAdapter[list[Any]]:
    form: Any = GenericAlias(list, (kind,))
    return TypeAdapter(form)


_COLUMNS = {name: _column(field.rebuild_annotation()) for name, field in UsageEvent.model_fields.items()}
_REQUIRED = {name for name, field in UsageEvent.model_fields.items() if field.is_required()}


def parse_event(item: UsageEvent | EventFields) -> EventFields:
    """Return the fields of one event.

    Raises:
        InvalidError: it is not valid.
    """
    (found,) = [vars(item)] if isinstance(item, UsageEvent) else _validated([item])
    if isinstance(found, InvalidError):
        raise found
    return found


def parse_events(items: Sequence[UsageEvent | EventFields | InvalidError]) -> ParsedEvents:
    """Validate the events of a call; errors among them are kept.

    Events that have the same fields are validated together, which is faster. What does not pass so is validated one by one,
    with the same result.
    """
    plain = [place for place, item in enumerate(items) if type(item) is dict]
    others = sorted(set(range(len(items))).difference(plain))
    errors = {place: item for place in others if isinstance(item := items[place], InvalidError)}
    made = {place: vars(item) for place in others if isinstance(item := items[place], UsageEvent)}
    groups = [*groups_of(made, made), *filter(None, map(_valid, groups_of(items, plain)))]
    rest = set(range(len(items))).difference(errors, *(group.places for group in groups))
    single: list[tuple[int, EventFields]] = [(place, made[place]) for place in rest.intersection(made)]
    for place, found in _one_by_one(items, sorted(rest.difference(made))):
        if isinstance(found, InvalidError):
            errors[place] = found
        else:
            single.append((place, found))
    return ParsedEvents(groups, single, errors)


def _valid(group: EventGroup) -> EventGroup | None:
    """Return a group after validation; None if one of its events is not valid, or may be a credential."""
    if not _REQUIRED <= group.columns.keys() <= _COLUMNS.keys():
        return None
    try:
        columns = {name: _COLUMNS[name].validate_python(values) for name, values in group.columns.items()}
    except ValidationError:
        return None
    tags = [tag for some in columns.get("tags", ()) for tag in some or ()]
    names = set(tags).union(*(columns[name] for name in NAMES if name in columns)) - {None}
    return None if credentials_in(names) else EventGroup(group.places, columns)


def _one_by_one(items: Sequence[Any], places: Sequence[int]) -> Iterable[tuple[int, EventFields | InvalidError]]:
    return zip(places, _validated([items[place] for place in places]), strict=True) if places else ()


def _validated(items: Sequence[Any]) -> list[EventFields | InvalidError]:
    problems = {number: _TOO_MANY for number, item in enumerate(items) if len(item) > _MANY_FIELDS}
    if problems:
        few = iter(_validated([item for number, item in enumerate(items) if number not in problems]))
        return [InvalidError(problems[number]) if number in problems else next(few) for number in range(len(items))]
    try:
        events = _EVENTS.validate_python(items)
    except ValidationError as error:
        renamed = [_without_aliases(item) for item in items]
        if renamed != items:
            return _validated(renamed)
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            where = problem["loc"]
            name = str(where[1]) if len(where) > 1 else "event"
            said = problem["msg"].removeprefix("Value error, ")
            wrong = unknown_name(name, UsageEvent.model_fields) if problem["type"] == "extra_forbidden" else None
            problems.setdefault(int(where[0]) if where else 0, wrong or f"{name}: {said}")
        events = _EVENTS.validate_python([item for number, item in enumerate(items) if number not in problems])
    checked = iter(_without_credentials(events))
    return [InvalidError(problems[n]) if n in problems else next(checked) for n in range(len(items))]


def _without_aliases(item: Any) -> Any:
    """Return an event with aliases of its token counts renamed; called only for events that failed validation."""
    if not isinstance(item, Mapping):
        return item
    fields = cast("Mapping[str, Any]", item)
    renamed = {ALIASES.get(name, name): value for name, value in fields.items()}
    return renamed if len(renamed) == len(fields) else fields


def _without_credentials(events: list[EventFields]) -> Sequence[EventFields | InvalidError]:
    names: set[Any] = {tag for event in events for tag in event.get("tags") or ()}
    for event in events:
        names.update(map(event.get, NAMES))
    names.discard(None)
    credentials = credentials_in(names)
    return [refusal_of(event, credentials) or event for event in events] if credentials else events
