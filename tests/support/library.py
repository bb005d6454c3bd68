"""The libraries as used by a host."""

from dataclasses import dataclass
from decimal import Decimal

from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.credit.container import CreditContainer
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.usage.container import UsageContainer
from faregate.usage.service import UsageService
from faregate.usage.values import Feature
from faregate.wire.credits import to_micros

__all__ = ["Library"]


@dataclass(frozen=True)
class Library:
    core: CoreContainer
    credit: CreditContainer
    usage: UsageContainer

    @property
    def database(self) -> Database:
        return self.core.database()

    @property
    def service(self) -> UsageService:
        return self.usage.service()

    async def grant(self, owner_id: str, credits: int | str) -> None:
        spec = GrantSpec(to_micros(Decimal(credits)), GrantSource.PURCHASE)
        await self.usage.wallets().grant(owner_id, spec)

    async def balance(self, owner_id: str) -> Decimal:
        return (await self.usage.wallets().get(owner_id))[0].balance

    async def free(self, owner_id: str) -> Decimal:
        return (await self.usage.wallets().get(owner_id))[0].free

    async def feature(self, feature: Feature) -> None:
        await self.usage.catalog().save(feature)
