"""Usage events of repriced lines.

The events are taken back and replaced, in the transaction that prices the lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.states import ChargeState
from faregate.usage.events.keys import event_key, line_key, use_key
from faregate.usage.price_book.sql import REPLACE, TYPES
from faregate.usage.pricing.pico_usd import pico_usd
from faregate.usage.values import UsageLine

__all__ = ["EventChange", "RepricedEvents"]


@dataclass(frozen=True, slots=True)
class EventChange:
    """One line that has a price now: its micro-credits, and what the use consumed and was charged on top for it."""

    number: int
    line: UsageLine
    line_credits: int
    consumed: int
    charged: int


class RepricedEvents:
    """Corrects the facts of a settlement. What was voided since, or is archived, is left as it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def change(
        self, session: AsyncSession, charge: ChargeState, changes: Sequence[EventChange], *, actor: str | None
    ) -> None:
        """Replace the facts of these lines and of the request, in the transaction that prices them.

        Raises:
            RetryTransactionError: somebody else is correcting one of them.
        """
        if not changes:
            return
        rows = [*(_line_row(charge, change) for change in changes), _request_row(charge, changes)]
        arrays = {name: list(values) for name, values in zip(TYPES, zip(*rows, strict=True), strict=True)}
        at = charge.settled_at or charge.created_at
        (done,) = await self._database.rows(
            session, REPLACE, subject_id=charge.subject_id, time=at, actor=actor, **arrays
        )
        if done.corrected != done.standing:
            raise RetryTransactionError("a fact of the use is being corrected by somebody else")


def _line_row(charge: ChargeState, change: EventChange) -> tuple[Any, ...]:
    line, reason = change.line, f"priced by {change.line.price_version}"
    key = line_key(charge.usage_key, change.number)
    cost = pico_usd(line.provider_cost_usd)
    return key, _meaning(key, [change]), change.line_credits, 0, cost, line.provider, reason


def _request_row(charge: ChargeState, changes: Sequence[EventChange]) -> tuple[Any, ...]:
    key = use_key(charge.usage_key)
    credits = sum(change.consumed - change.line_credits for change in changes)
    versions = ", ".join(sorted({str(change.line.price_version) for change in changes}))
    charged = sum(change.charged for change in changes)
    return key, _meaning(key, changes), credits, charged, None, None, f"lines priced by {versions}"


def _meaning(key: UUID, changes: Sequence[EventChange]) -> UUID:
    said = ",".join(f"{change.number}:{change.line.price_version}" for change in changes)
    return event_key("faregate:reprice", f"{key}/{said}")
