"""Requests that were reported for a use before it was settled."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.states import ChargeState
from faregate.usage.credits_process.sql import REPORTED_GIVE_WAY
from faregate.usage.events.keys import settled_meaning, use_key

__all__ = ["ReportedRequests"]


class ReportedRequests:
    """Takes back what was reported as the request of a use, when the use is settled: a use is one request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give_way(self, session: AsyncSession, charges: Sequence[ChargeState]) -> None:
        """Let the settlements of these charges be the requests of their uses, in the transaction that settles them.

        What was voided stays so, and what is archived is not changed.

        Raises:
            RetryTransactionError: somebody else is correcting one of the reported requests.
        """
        if not charges:
            return
        (done,) = await self._database.rows(
            session,
            REPORTED_GIVE_WAY,
            claim=[use_key(charge.usage_key) for charge in charges],
            usage_key=[charge.usage_key for charge in charges],
            subject_id=[charge.subject_id for charge in charges],
            time=[charge.settled_at or charge.created_at for charge in charges],
            meaning=[settled_meaning(charge.usage_key) for charge in charges],
        )
        if done.corrected != done.standing:
            raise RetryTransactionError("a reported request of the use is being corrected by somebody else")
