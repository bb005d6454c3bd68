"""Usage events that settlements add.

One request, and a line for each model, in the transaction of the settlement.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import COPIED_FROM, Database
from faregate.core.db.partitions import Month, Partitions
from faregate.credit.ledger.states import ChargeState
from faregate.usage.credits_process.reported_requests import ReportedRequests
from faregate.usage.credits_process.sql import EVENT_ADD, EVENT_CLAIM, EVENT_COLUMNS, EVENT_STORED
from faregate.usage.events.keys import LINE_SOURCE, USE_SOURCE, line_key, use_key
from faregate.usage.pricing.pico_usd import pico_usd
from faregate.usage.values import UsageLine
from faregate.wire.credits import to_micros

__all__ = ["SettledEvents"]

_CLAIM_COLUMNS = list(EVENT_COLUMNS)[:4]


_OK = 200
_LATENCY_LIMIT = 2**31 - 1


class SettledEvents:
    """Writes the facts of settlements: all of them, so that they equal the ledger, whatever was reported before."""

    def __init__(self, database: Database, partitions: Partitions, clock: IClock, reported: ReportedRequests) -> None:
        self._database = database
        self._partitions = partitions
        self._clock = clock
        self._reported = reported

    async def ready(self) -> None:
        """See to it that there is a place for what is settled now; call it before the transaction."""
        month = Month.of(self._clock.now())
        await self._partitions.ensure([month, month.after(1)])

    async def warm_up(self, session: AsyncSession) -> None:
        """Prepare what `add` runs for a batch."""
        await self._database.rows(session, EVENT_CLAIM, **{name: [] for name in _CLAIM_COLUMNS})
        await self._database.copy(session, "usage_event", EVENT_STORED, [])

    async def add(self, session: AsyncSession, settlements: Sequence[tuple[ChargeState, Sequence[UsageLine]]]) -> None:
        """Append the facts of these settlements, in their transaction."""
        if not settlements:
            return
        rows = [row for charge, lines in settlements for row in _rows(charge, lines)]
        claimed = await self._write(session, rows)
        charges = {use_key(charge.usage_key): charge for charge, _ in settlements}
        await self._reported.give_way(session, [charge for key, charge in charges.items() if key not in claimed])

    async def _write(self, session: AsyncSession, rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
        """Append the rows; return those of their claims that are new."""
        if len(rows) < COPIED_FROM:
            return {row.key for row in await self._database.rows(session, EVENT_ADD, **_arrays(EVENT_COLUMNS, rows))}
        claims = sorted(row[: len(_CLAIM_COLUMNS)] for row in rows if row[0] is not None)
        claimed = {
            row.key for row in await self._database.rows(session, EVENT_CLAIM, **_arrays(_CLAIM_COLUMNS, claims))
        }
        await self._database.copy(session, "usage_event", EVENT_STORED, [row[1:] for row in rows])
        return claimed


def _arrays(columns: Iterable[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


def _rows(charge: ChargeState, lines: Sequence[UsageLine]) -> list[tuple[Any, ...]]:
    at = charge.settled_at or charge.created_at
    latency_ms = min(charge.duration_ms, _LATENCY_LIMIT) if charge.duration_ms is not None else None
    key = use_key(charge.usage_key)
    in_lines = sum(to_micros(line.credits) for line in lines)
    request = (
        *(key, key, charge.subject_id, at, 0, charge.organization_id, _service(charge), charge.feature_key),
        *(charge.usage_key, None, None, 1, 0, 0, 0, charge.consumed - in_lines, charge.charged, None, latency_ms, _OK),
        *(USE_SOURCE, charge.usage_key),
    )
    return [request, *(_line_row(charge, at, latency_ms, number, line) for number, line in enumerate(lines))]


def _line_row(
    charge: ChargeState, at: datetime, latency_ms: int | None, number: int, line: UsageLine
) -> tuple[Any, ...]:
    tokens, model = line.usage.tokens, line.usage.model
    return (
        *(None, line_key(charge.usage_key, number), charge.subject_id, at, 1, charge.organization_id),
        *(_service(charge), charge.feature_key, charge.usage_key, model, line.provider, 0, 0 if model is None else 1),
        *(tokens.get("input_tokens", 0), tokens.get("output_tokens", 0), to_micros(line.credits), 0),
        *(pico_usd(line.provider_cost_usd), latency_ms, _OK, LINE_SOURCE, f"{charge.usage_key}/{number}"),
    )


def _service(charge: ChargeState) -> str:
    """Return what the use's metadata calls its service, or else the feature."""
    named = (charge.metadata or {}).get("service")
    return named if isinstance(named, str) and named else charge.feature_key
