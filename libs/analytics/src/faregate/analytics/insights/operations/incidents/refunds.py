"""Refunds of an incident: the prepared correction, carried out."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.errors import UnknownIncidentError
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.values import InsightKind
from faregate.core.db.database import Database
from faregate.credit.errors import NotRefundableError, UnknownUsageKeyError
from faregate.credit.ledger.states import TransferNote
from faregate.credit.services.corrections import CorrectionService
from faregate.wire.credits import to_micros

__all__ = ["GivenBack", "IncidentRefunds", "RefundedUse"]

_PEOPLE = 1000


@dataclass(frozen=True, slots=True)
class RefundedUse:
    """One use of the list; `problem` says why it was not refunded."""

    user_id: str
    usage_key: str
    credits: Decimal
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A part of the list, carried out. `next` is the place of the first use after it; None at the end."""

    uses: Sequence[RefundedUse]
    next: int | None

    @property
    def credits(self) -> Decimal:
        """The credits that were given back."""
        return sum((use.credits for use in self.uses if use.problem is None), Decimal(0))


class _RehearsedError(Exception):
    """Rolls a rehearsal back, and carries its result out of the transaction."""

    def __init__(self, done: GivenBack) -> None:
        super().__init__()
        self.done = done


class IncidentRefunds:
    """Refunds the uses that an incident lists, through the ledger's own corrections.

    Each use has an operation key of the incident, so that repeating a call, whole or in part, gives nothing back twice.
    """

    def __init__(self, database: Database, insights: InsightRepository, corrections: CorrectionService) -> None:
        self._database = database
        self._insights = insights
        self._corrections = corrections

    async def refund(
        self, incident_id: UUID, *, actor: str, reason: str, first: int = 1, limit: int = 200
    ) -> GivenBack:
        """Refund up to `limit` uses of the list from place `first` on, in one transaction.

        What was refunded by hand meanwhile, so that the prepared amount is not left, is skipped with the reason.

        Raises:
            UnknownIncidentError: there is no such incident.
            InvalidError: the reason is missing.
        """
        note = TransferNote(operation_key=f"incident/{incident_id}", actor=actor, reason=reason)
        return await self._database.run(lambda session: self._carry_out(session, incident_id, note, first, limit))

    async def rehearse(
        self, incident_id: UUID, *, actor: str, reason: str, first: int = 1, limit: int = 200
    ) -> GivenBack:
        """Return what `refund` would return, and change nothing: its transaction is rolled back."""
        note = TransferNote(operation_key=f"incident/{incident_id}", actor=actor, reason=reason)

        async def work(session: AsyncSession) -> None:
            raise _RehearsedError(await self._carry_out(session, incident_id, note, first, limit))

        try:
            await self._database.run(work)
        except _RehearsedError as end:
            return end.done
        raise AssertionError("unreachable")

    async def _carry_out(
        self, session: AsyncSession, incident_id: UUID, note: TransferNote, first: int, limit: int
    ) -> GivenBack:
        uses = await self._prepared(session, incident_id)
        part = uses[first - 1 : first - 1 + limit]
        done = [await self._refund(session, use, note) for use in part]
        after = first + len(part)
        return GivenBack(done, after if after <= len(uses) else None)

    async def _prepared(self, session: AsyncSession, incident_id: UUID) -> Sequence[RefundedUse]:
        """Return the list in the order of the answer; what concerns erased people is no longer in it."""
        found = await self._insights.find(session, incident_id, people=_PEOPLE)
        if found is None or found.kind is not InsightKind.INCIDENT:
            raise UnknownIncidentError(incident_id)
        return [
            RefundedUse(person.user_id or "", use["usage_key"], Decimal(use["credits"]))
            for person in found.result.people
            for use in person.facts["uses"]
        ]

    async def _refund(self, session: AsyncSession, use: RefundedUse, note: TransferNote) -> RefundedUse:
        try:
            await self._corrections.refund_use(session, use.usage_key, amount=to_micros(use.credits), note=note)
        except (NotRefundableError, UnknownUsageKeyError) as error:
            return RefundedUse(use.user_id, use.usage_key, use.credits, error.detail)
        return use
