"""Conversion of many events to database rows, column by column. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import repeat
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.events.claims import claim_row
from faregate.usage.events.copy_format import NULL, big, integer, micros, small, text
from faregate.usage.events.event import EventFields
from faregate.usage.events.groups import EventGroup, ParsedEvents
from faregate.usage.events.keys import identity_of
from faregate.usage.events.rows import (
    COST_LIMIT,
    CREDITS_LIMIT,
    FIXED,
    NO_RARE,
    RARE,
    SHAPE,
    STATUSES,
    WIDTH,
    Prepared,
    RowMaker,
    rare,
)
from faregate.usage.pricing.pico_usd import PICO
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["prepare_all"]

_EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])
_MICROS = 10**6


def prepare_all(maker: RowMaker, parsed: ParsedEvents) -> Sequence[Prepared | InvalidError]:
    """Return the row and the claims of each event of a call, or why it has none.

    The events of a group are converted together, which is faster. If one of them may be refused, they are converted one by
    one, with the same result.
    """
    made: dict[int, Prepared | InvalidError] = dict(parsed.errors)
    for group in parsed.groups:
        rows = _together(maker, group)
        made.update(zip(group.places, rows, strict=True) if rows else _one_by_one(maker, group.events()))
    made.update(_one_by_one(maker, parsed.others))
    return [made[place] for place in range(len(made))]


def _one_by_one(
    maker: RowMaker, events: Iterable[tuple[int, EventFields]]
) -> Iterable[tuple[int, Prepared | InvalidError]]:
    for place, event in events:
        try:
            yield place, maker.prepare(event)
        except InvalidError as error:
            yield place, error


def _together(maker: RowMaker, group: EventGroup) -> Sequence[Prepared]:
    """Return the rows of a group; none if one of its events may be refused."""
    try:
        return _rows(maker, group)
    except (_DoubtError, InvalidError, Inexact, InvalidOperation):
        return ()


class _DoubtError(Exception):
    """An event of a group may have to be refused."""


def _rows(maker: RowMaker, group: EventGroup) -> Sequence[Prepared]:
    column = group.column
    shapes = list(map(maker.common, zip(*map(column, SHAPE), strict=True)))
    counts_use, common = zip(*shapes, strict=True)
    times, subjects = _times(maker, column("time")), _subjects(maker, column("user_id"))
    usage_keys, ids = column("usage_key"), column("id")
    uses = [usage_key if counts else None for usage_key, counts in zip(usage_keys, counts_use, strict=True)]
    keys, wanted = zip(*map(identity_of, column("source"), ids, uses), strict=True)
    credits = _amounts(column("credits"), _MICROS, CREDITS_LIMIT)
    read, written = _tokens(group, "input_tokens"), _tokens(group, "output_tokens")
    fixed = map(
        FIXED, *map(repeat, (WIDTH, 2, 0, 8)), times, repeat(16), keys, repeat(8), subjects, repeat(8), read,
        repeat(8), written, repeat(8), credits, repeat(8), credits,
    )  # fmt: skip
    rows = zip(
        fixed,
        common,
        _texts(usage_keys),
        _texts(ids),
        _each(_organization(maker), column("organization_id")),
        map(big, _costs(maker, group, read, written)),
        map(integer, column("latency_ms")),
        _each(_status, column("status")),
        _rare(group),
        strict=True,
    )
    claims = map(_claims, keys, wanted, subjects, times)
    return list(zip(map(b"".join, rows), claims, strict=True))


def _claims(key: bytes, wanted: Sequence[bytes], subject: int, time: int) -> tuple[bytes, ...]:
    return tuple([claim_row(one, key, subject, time) for one in wanted])


def _times(maker: RowMaker, moments: Sequence[Any]) -> Sequence[int]:
    times = [maker.now if at is None else micros(at) for at in moments]
    if min(times) < maker.earliest or max(times) > maker.latest:
        raise _DoubtError
    return times


def _subjects(maker: RowMaker, users: Sequence[str]) -> Sequence[int]:
    if any(user.startswith(ORGANIZATION_PREFIX) for user in set(users)):
        raise _DoubtError
    return [maker.subjects[user] for user in users]


def _organization(maker: RowMaker) -> Callable[[Any], bytes]:
    return lambda name: NULL if name is None else big(maker.subjects[ORGANIZATION_PREFIX + name])


def _status(status: Any) -> bytes:
    return small(STATUSES[status] if isinstance(status, str) else status)


def _each(encode: Callable[[Any], bytes], values: Sequence[Any]) -> Sequence[bytes]:
    """Return the encoded values; values that occur often are encoded once."""
    encoded: Mapping[Any, bytes] = {value: encode(value) for value in set(values)}
    return [encoded[value] for value in values]


def _texts(values: Sequence[str | None]) -> Iterable[bytes]:
    return map(text, values) if any(values) else repeat(NULL, len(values))


def _tokens(group: EventGroup, name: str) -> Sequence[int]:
    counts = group.columns.get(name) or (0,) * len(group)
    if min(counts) < 0:
        raise _DoubtError
    return counts


def _amounts(values: Sequence[Decimal | int | None], unit: int, limit: int) -> Sequence[int]:
    """Return amounts in `unit`ths, exactly; an amount that is missing is 0."""
    if not any(values):
        return (0,) * len(values)
    scaled = [_EXACT.multiply(value or 0, unit) for value in values]
    whole = list(map(int, scaled))
    if whole != scaled or min(whole) < 0 or max(whole) >= limit:
        raise _DoubtError
    return whole


def _costs(maker: RowMaker, group: EventGroup, read: Sequence[int], written: Sequence[int]) -> Sequence[int | None]:
    given, models = group.column("cost_usd"), group.column("model")
    if None not in given:
        return _amounts(given, PICO, COST_LIMIT)
    if "model" not in group.columns and not any(given):
        return given
    priced_by = zip(group.column("provider"), read, written, group.column("time"), strict=True)
    return list(map(maker.cost, given, models, priced_by))


def _rare(group: EventGroup) -> Iterable[bytes]:
    if "meter" not in group.columns and group.columns.keys().isdisjoint(RARE):
        return repeat(NO_RARE, len(group))
    return map(rare, *map(group.column, (*RARE, "meter")))
