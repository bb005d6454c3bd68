"""Conversion of many events to database rows, column by column. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import chain, repeat
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.usage.events.claims import claim_rows
from faregate.usage.events.copy_format import NULL, big, integers, micros, small, texts
from faregate.usage.events.event import EventFields
from faregate.usage.events.groups import GROUP_SIZE, EventGroup, ParsedEvents
from faregate.usage.events.keys import USE_SOURCE, event_hashes, identity_of
from faregate.usage.events.prepared import PreparedEvents
from faregate.usage.events.rows import (
    COST_LIMIT,
    CREDITS_LIMIT,
    FIXED,
    NO_RARE,
    RARE,
    SHAPE,
    STATUSES,
    WIDTH,
    RowMaker,
    rare,
)
from faregate.usage.pricing.pico_usd import PICO
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["prepare_all", "prepare_in_steps"]

_EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])
_MICROS = 10**6

_Identities = tuple[Sequence[bytes], Sequence[int], Sequence[bytes]]
"""The key of each event of a group, and the keys of their claims, each after the position of its event."""


def prepare_all(maker: RowMaker, parsed: ParsedEvents) -> PreparedEvents:
    """Return the rows and claims of the events of a call, and why the others have none."""
    made = PreparedEvents(errors=dict(parsed.errors))
    for _ in prepare_in_steps(maker, parsed, made):
        pass
    return made


def prepare_in_steps(maker: RowMaker, parsed: ParsedEvents, made: PreparedEvents) -> Iterator[None]:
    """Add the rows and claims of the events of a call to `made`, a few hundred at each step.

    The events of a group are converted together, which is faster. If one of them may be refused, they are converted one by
    one, with the same result.
    """
    for group in parsed.groups:
        if not _together(maker, group, made):
            _one_by_one(maker, group.events(), made)
        yield
    for first in range(0, len(parsed.others), GROUP_SIZE):
        _one_by_one(maker, parsed.others[first : first + GROUP_SIZE], made)
        yield


def _one_by_one(maker: RowMaker, events: Iterable[tuple[int, EventFields]], made: PreparedEvents) -> None:
    for place, event in events:
        try:
            row, claims = maker.prepare(event)
        except InvalidError as error:
            made.errors[place] = error
        else:
            made.rows[place] = row
            made.claim(repeat(place, len(claims)), claims)


def _together(maker: RowMaker, group: EventGroup, made: PreparedEvents) -> bool:
    """Add the events of a group; add none, and return False, if one of them may have to be refused."""
    try:
        counts_use, common = _common(maker, group)
        times, subjects = _times(maker, group.column("time")), _subjects(maker, group.column("user_id"))
        keys, positions, claimed = _identities(group, counts_use)
        rows = list(map(b"".join, _parts(maker, group, _fixed(group, times, keys, subjects), common)))
    except (_DoubtError, InvalidError, Inexact, InvalidOperation):
        return False
    made.add(group.places, rows)
    made.claim(
        map(group.places.__getitem__, positions),
        claim_rows(
            claimed,
            map(keys.__getitem__, positions),
            map(subjects.__getitem__, positions),
            map(times.__getitem__, positions),
        ),
    )
    return True


class _DoubtError(Exception):
    """An event of a group may have to be refused."""


def _common(maker: RowMaker, group: EventGroup) -> tuple[Sequence[bool], Sequence[bytes]]:
    """Return whether each event is a request, and the part of its row that depends on its `SHAPE`."""
    shapes = list(zip(*map(group.column, SHAPE), strict=True))
    made = {shape: maker.common(shape) for shape in set(shapes)}
    counts_use, common = zip(*map(made.__getitem__, shapes), strict=True)
    return counts_use, common


def _times(maker: RowMaker, moments: Sequence[Any]) -> Sequence[int]:
    times = (
        [maker.now if at is None else micros(at) for at in moments] if None in moments else list(map(micros, moments))
    )
    if min(times) < maker.earliest or max(times) > maker.latest:
        raise _DoubtError
    return times


def _subjects(maker: RowMaker, users: Sequence[str]) -> Sequence[int]:
    if any(user.startswith(ORGANIZATION_PREFIX) for user in set(users)):
        raise _DoubtError
    return list(map(maker.subjects.__getitem__, users))


def _identities(group: EventGroup, counts_use: Sequence[bool]) -> _Identities:
    ids, usage_keys = group.column("id"), group.column("usage_key")
    if None in ids:
        uses = [usage_key if counts else None for usage_key, counts in zip(usage_keys, counts_use, strict=True)]
        made, wanted = zip(*map(identity_of, group.column("source"), ids, uses), strict=True)
        positions = [position for position, some in enumerate(wanted) for _ in some]
        return made, positions, list(chain.from_iterable(wanted))
    keys = event_hashes(group.column("source"), ids)
    used = [position for position, key in enumerate(usage_keys) if key is not None and counts_use[position]]
    use_keys = event_hashes((USE_SOURCE,) * len(used), [usage_keys[position] for position in used])
    return keys, [*range(len(group)), *used], [*keys, *use_keys]


def _fixed(
    group: EventGroup, times: Iterable[int], keys: Iterable[bytes], subjects: Iterable[int]
) -> tuple[Iterable[bytes], Sequence[int], Sequence[int]]:
    """Return the first part of each row, and the tokens that were read and written."""
    read, written = _tokens(group, "input_tokens"), _tokens(group, "output_tokens")
    credits = _amounts(group.column("credits"), _MICROS, CREDITS_LIMIT)
    fixed = map(
        FIXED, *map(repeat, (WIDTH, 2, 0, 8)), times, repeat(16), keys, repeat(8), subjects, repeat(8), read,
        repeat(8), written, repeat(8), credits, repeat(8), credits,
    )  # fmt: skip
    return fixed, read, written


def _parts(
    maker: RowMaker,
    group: EventGroup,
    first: tuple[Iterable[bytes], Sequence[int], Sequence[int]],
    common: Iterable[bytes],
) -> Iterable[tuple[bytes, ...]]:
    """Return the parts of each row, in the order of the table's columns."""
    fixed, read, written = first
    return zip(
        fixed,
        common,
        *texts(group.column("usage_key")),
        *texts(group.column("id")),
        _each(_organization(maker), group.column("organization_id")),
        map(big, _costs(maker, group, read, written)),
        integers(group.column("latency_ms")),
        _each(_status, group.column("status")),
        _rare(group),
        strict=True,
    )


def _organization(maker: RowMaker) -> Callable[[Any], bytes]:
    return lambda name: NULL if name is None else big(maker.subjects[ORGANIZATION_PREFIX + name])


def _status(status: Any) -> bytes:
    return small(STATUSES[status] if isinstance(status, str) else status)


def _each(encode: Callable[[Any], bytes], values: Sequence[Any]) -> Iterable[bytes]:
    """Return the encoded values; values that occur often are encoded once."""
    encoded: Mapping[Any, bytes] = {value: encode(value) for value in set(values)}
    return map(encoded.__getitem__, values)


def _tokens(group: EventGroup, name: str) -> Sequence[int]:
    counts = group.columns.get(name) or (0,) * len(group)
    if min(counts) < 0:
        raise _DoubtError
    return counts


def _amounts(values: Sequence[Decimal | int | None], unit: int, limit: int) -> Sequence[int]:
    """Return amounts in `unit`ths, exactly; an amount that is missing is 0.

    Raises:
        Inexact: an amount is not a whole number of `unit`ths.
    """
    if not any(values):
        return (0,) * len(values)
    given = [value or 0 for value in values] if None in values else cast("Sequence[Decimal | int]", values)
    scaled = map(_EXACT.multiply, given, repeat(unit))
    whole = list(map(int, map(_EXACT.to_integral_exact, scaled)))
    if min(whole) < 0 or max(whole) >= limit:
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
