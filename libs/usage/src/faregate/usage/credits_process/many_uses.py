"""Reads of many uses at once, in a fixed number of statements."""

from collections.abc import Iterable, Mapping

from faregate.core.db.database import Database
from faregate.credit.services.bulk_reads import BulkReads
from faregate.credit.services.credits import CreditService
from faregate.credit.values import charge_view
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.service import UsageStory
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["ManyUses"]


class ManyUses:
    """Reads hold, outcome, lines and transactions of uses."""

    def __init__(
        self, database: Database, credit: CreditService, bulk_reads: BulkReads, repository: UsageRepository
    ) -> None:
        self._database = database
        self._credit = credit
        self._bulk_reads = bulk_reads
        self._repository = repository

    async def stories(self, usage_keys: Iterable[str]) -> Mapping[str, UsageStory]:
        """Return the known ones of these uses, in three statements."""
        async with self._database.transaction(read_only=True) as session:
            started = await self._credit.find_started(session, usage_keys)
            if not started:
                return {}
            lines = await self._repository.lines(session, started)
            charges = [each.charge for each in started.values()]
            transactions = await self._bulk_reads.transactions_of(session, charges)
        return {
            key: UsageStory(
                user_id=each.user_id,
                organization_id=each.organization.removeprefix(ORGANIZATION_PREFIX) if each.organization else None,
                charge=charge_view(each.charge),
                lines=lines.get(key, ()),
                transactions=tuple(transactions.get(key, ())),
            )
            for key, each in started.items()
        }
