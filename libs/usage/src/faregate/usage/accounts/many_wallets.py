"""Reads of many wallets at once, in a fixed number of statements."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.services.bulk_reads import BulkReads
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.usage.accounts.directory import DatabaseDirectory

__all__ = ["ManyWallets"]


class ManyWallets:
    """Reads wallets with their owners' organisations; owns its transactions."""

    def __init__(self, database: Database, bulk_reads: BulkReads, members: DatabaseDirectory) -> None:
        self._database = database
        self._bulk_reads = bulk_reads
        self._members = members

    async def wallets(self, owner_ids: Iterable[str]) -> Mapping[str, tuple[Wallet, str | None]]:
        """Return the wallets of these owners without their grants, each with its owner's organisation."""
        wanted = sorted(set(owner_ids))

        async def work(session: AsyncSession) -> Mapping[str, tuple[Wallet, str | None]]:
            found = await self._bulk_reads.wallets(session, wanted)
            facts = await self._members.facts(session, [(owner_id, None) for owner_id in found])
            organizations = [each.organization_id for each in facts]
            return {
                owner_id: (wallet, organization)
                for (owner_id, wallet), organization in zip(found.items(), organizations, strict=True)
            }

        return await self._database.run(work)

    async def live_grants(self, owner_ids: Iterable[str]) -> Mapping[str, Sequence[Grant]]:
        """Return the live grants of these owners' wallets, oldest first."""
        return await self._database.run(lambda session: self._bulk_reads.live_grants(session, owner_ids))

    async def transactions(
        self, owner_ids: Iterable[str], *, before: int | None, limit: int
    ) -> Mapping[str, Sequence[CreditTransaction]]:
        """Return the latest transactions of these owners' wallets below sequence number `before`, newest first."""
        return await self._database.run(
            lambda session: self._bulk_reads.transactions(session, owner_ids, before=before, limit=limit)
        )
