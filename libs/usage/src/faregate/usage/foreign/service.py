"""Ingest of foreign events: recorded or charged, each once."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import FaregateError, InvalidError
from faregate.usage.events.keys import event_key, use_key
from faregate.usage.events.parsing import parse_event
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.reports import Rejected
from faregate.usage.foreign.catalog import IngestRules
from faregate.usage.foreign.mapping import Made, made_from, rule_for
from faregate.usage.foreign.rules import ForeignEvent, IngestRule
from faregate.usage.foreign.sql import MARK, MARKED
from faregate.usage.service import UsageService
from faregate.usage.values import Settled
from faregate.wire.errors import UnavailableError

__all__ = ["ForeignIngest", "ForeignReport", "Rehearsal"]

_AT_ONCE = 500
"""Events that are translated before other tasks get their turn."""
_CHARGES_AT_ONCE = 200

Readable = ForeignEvent | InvalidError


@dataclass(frozen=True, slots=True)
class ForeignReport:
    """What became of the items of a call.

    Attributes:
        recorded: new usage events. charged: new charges. duplicates: counted before.
        passed: items that report no usage, or that a rule ignores, or whose parts are counted.
        rejected: the items that were not accepted, in order.
    """

    recorded: int = 0
    charged: int = 0
    duplicates: int = 0
    passed: int = 0
    rejected: Sequence[Rejected] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of one event, of which nothing is stored: by which rule, and the event or charge that it makes."""

    rule: str | None
    made: Made | None


@dataclass(slots=True)
class _Work:
    """The items of a call on their way, by index."""

    made: dict[int, Made] = field(default_factory=dict[int, Made])
    rejected: dict[int, str] = field(default_factory=dict[int, str])
    passed: int = 0


class ForeignIngest:
    """Translates foreign events by the rules in force, records them and charges for them.

    Safe to repeat as a whole: what was recorded or charged before is a duplicate.
    """

    def __init__(self, database: Database, rules: IngestRules, recorder: UsageRecorder, usage: UsageService) -> None:
        self._database = database
        self._rules = rules
        self._recorder = recorder
        self._usage = usage

    async def take(self, items: Sequence[Readable], *, spender: str | None = None) -> ForeignReport:
        """Record or charge the items; each is accepted or rejected by itself.

        Raises:
            EngineUnavailableError: the database is away; repeat the call.
        """
        work = await self._translated(items, spender)
        await self._leave_out_sums(items, work)
        duplicates, recorded = await self._record(work)
        charged, repeated = await self._charge(work)
        await self._mark_sums(items, work)
        rejected = [Rejected(index, work.rejected[index]) for index in sorted(work.rejected)]
        return ForeignReport(recorded, charged, duplicates + repeated, work.passed, rejected)

    async def rehearse(self, event: ForeignEvent, *, instead: IngestRule | None = None) -> Rehearsal:
        """Return what the rules in force, with `instead` tried first, would make of one event; nothing is stored.

        Raises:
            InvalidError: the event would be rejected; the text says why.
        """
        declared = await self._rules.in_order()
        rule = rule_for(event, [instead, *declared] if instead is not None else declared)
        if rule is None or rule.action == "ignore":
            return Rehearsal(rule.name if rule is not None else None, None)
        made = made_from(event, rule)
        if made.event is not None:
            parse_event(made.event)
        return Rehearsal(rule.name, made)

    async def _translated(self, items: Sequence[Readable], spender: str | None) -> _Work:
        declared, work = await self._rules.in_order(), _Work()
        for number, item in enumerate(items):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                made = _made(item, declared, spender)
            except FaregateError as error:
                work.rejected[number] = error.detail
                continue
            if made is None:
                work.passed += 1
            else:
                work.made[number] = made
        return work

    async def _leave_out_sums(self, items: Sequence[Readable], work: _Work) -> None:
        """Leave out spans above a counted span, of this call or an earlier one: they repeat what it says."""
        sums = _ids_above(items, work.made)
        spans = {n: event_key(*_identity(items[n])) for n in work.made if _form(items[n]) == "span"}
        marked = await self._marked(spans.values()) if spans else set[Any]()
        for number, key in spans.items():
            if _identity(items[number])[1] in sums or key in marked:
                del work.made[number]
                work.passed += 1

    async def _marked(self, keys: Any) -> set[Any]:
        async with self._database.transaction(read_only=True) as session:
            return {row.key for row in await self._database.rows(session, MARKED, keys=list(keys))}

    async def _record(self, work: _Work) -> tuple[int, int]:
        numbers = [number for number, made in work.made.items() if made.event is not None]
        events = [made.event for made in work.made.values() if made.event is not None]
        if not events:
            return 0, 0
        report = await self._recorder.record(events)
        for item in report.rejected:
            work.rejected[numbers[item.index]] = item.error
            del work.made[numbers[item.index]]
        return report.duplicates, report.accepted

    async def _charge(self, work: _Work) -> tuple[int, int]:
        charges = [(number, made.charge) for number, made in work.made.items() if made.charge is not None]
        charged = repeated = 0
        for batch in _batches(charges):
            for (number, _), outcome in zip(batch, await self._usage.settle_batch([c for _, c in batch]), strict=True):
                if isinstance(outcome, Settled):
                    charged += not outcome.replayed
                    repeated += outcome.replayed
                    continue
                if isinstance(outcome, UnavailableError) or not isinstance(outcome, FaregateError):
                    raise outcome
                work.rejected[number] = outcome.detail
                del work.made[number]
        return charged, repeated

    async def _mark_sums(self, items: Sequence[Readable], work: _Work) -> None:
        """Remember the spans above the counted ones, which may arrive in a later call."""
        pairs = {
            event_key(_identity(items[number])[0], above): use_key(made.use)
            for number, made in work.made.items()
            for above in _above(items[number])
        }
        if not pairs:
            return
        keys = sorted(pairs)

        async def work_(session: AsyncSession) -> None:
            await self._database.rows(session, MARK, keys=keys, claims=[pairs[key] for key in keys])

        await self._database.run(work_)


def _made(item: Readable, declared: Sequence[IngestRule], spender: str | None) -> Made | None:
    if isinstance(item, InvalidError):
        raise item
    rule = rule_for(item, declared)
    return made_from(item, rule, spender=spender) if rule is not None and rule.action != "ignore" else None


def _batches(charges: Sequence[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    waiting = iter(charges)
    return iter(lambda: list(islice(waiting, _CHARGES_AT_ONCE)), [])


def _ids_above(items: Sequence[Readable], made: Mapping[int, Made]) -> set[str]:
    return {above for number in made for above in _above(items[number])}


def _identity(item: Readable) -> tuple[str, str]:
    if isinstance(item, InvalidError):
        raise item
    return item.source, item.id


def _form(item: Readable) -> str | None:
    return None if isinstance(item, InvalidError) else item.form


def _above(item: Readable) -> Sequence[str]:
    return () if isinstance(item, InvalidError) else item.above
