"""Wallets with their owners' account data, for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.credit.errors import UnknownWalletError
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.states import WalletState, WalletStatus
from faregate.credit.services.credits import CreditService
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.usage.accounts.directory import DatabaseDirectory
from faregate.usage.accounts.subscriptions import Subscriber
from faregate.usage.features.catalog import FeatureCatalog
from faregate.wire.credits import to_credits, to_micros
from faregate.wire.ids import ORGANIZATION_PREFIX, check_external_id

__all__ = ["WalletChange", "WalletService"]


@dataclass(frozen=True, slots=True)
class WalletChange:
    """What to change: `email`, `organization_id`, `plan`, `credit_limit`, `low_balance` (in credits), `status`, `top_up`.

    A missing field stays as it is; None clears the value. `top_up` is (below, credits): when the balance falls below the
    first, the second is ordered.
    """

    fields: Mapping[str, Any]

    def apply(self, wallet: WalletState) -> None:
        """Change the ledger's fields of `wallet`."""
        if "plan" in self.fields:
            wallet.plan = self.fields["plan"]
        if "status" in self.fields:
            wallet.status = WalletStatus[(self.fields["status"] or "active").upper()]
        if "low_balance" in self.fields:
            _set_low_balance(wallet, self.fields["low_balance"])
        if "top_up" in self.fields:
            _set_top_up(wallet, self.fields["top_up"])
        if "credit_limit" in self.fields:
            _set_limit(wallet, to_micros(self.fields["credit_limit"] or 0, param="credit_limit"))


class WalletService:
    """Reads and changes wallets; owns its transactions."""

    def __init__(
        self,
        database: Database,
        credit: CreditService,
        subjects: Subjects,
        members: DatabaseDirectory,
        catalog: FeatureCatalog,
        subscriber: Subscriber,
    ) -> None:
        self._database = database
        self._credit = credit
        self._subjects = subjects
        self._members = members
        self._catalog = catalog
        self._subscriber = subscriber

    async def get(self, owner_id: str) -> tuple[Wallet, str | None]:
        """Return a wallet and its owner's organisation, or raise `UnknownWalletError`."""

        async def work(session: AsyncSession) -> tuple[Wallet, str | None]:
            return await self._credit.wallet(session, owner_id), await self._organization(session, owner_id)

        return await self._database.run(work)

    async def version(self, owner_id: str) -> str | None:
        """Return a text that differs after each change of what `get` returns; None if a change is due by time."""
        if self._credit.simulated:
            return None
        return await self._database.run(lambda session: self._members.version(session, owner_id))

    async def free(self, owner_id: str) -> Decimal:
        """Return an owner's free credits; 0 if the owner has no wallet."""
        try:
            wallet, _ = await self.get(owner_id)
        except UnknownWalletError:
            return Decimal(0)
        return wallet.free

    async def change(self, owner_id: str, change: WalletChange) -> tuple[Wallet, str | None]:
        """Change the given fields; create the wallet if needed.

        A new plan voids what is left of the old plan's grants and adds its own; see `Subscriber`.

        Raises:
            InvalidError: the limit would be below what is used of it, or a field does not apply to an organisation.
        """
        check_external_id(owner_id, param="owner_id")
        joins = "organization_id" in change.fields
        if joins and owner_id.startswith(ORGANIZATION_PREFIX):
            raise InvalidError("an organisation cannot be a member of another one", param="organization_id")
        catalog = await self._catalog.current()

        async def work(session: AsyncSession) -> tuple[Wallet, str | None]:
            subject = (await self._credit.ensure_wallets(session, [owner_id]))[owner_id]
            if change.fields.get("email") is not None:
                await self._subjects.remember_email(session, subject.subject_id, change.fields["email"])
            if joins:
                await self._members.join(session, owner_id, change.fields["organization_id"])
            plans: list[str | None] = []

            def apply(wallet: WalletState) -> None:
                plans.append(wallet.plan)
                change.apply(wallet)
                plans.append(wallet.plan)

            await self._credit.change_wallet(session, owner_id, apply)
            if plans[0] != plans[1]:
                await self._subscriber.subscribe(session, owner_id, catalog.plan(plans[1]))
            return await self._credit.wallet(session, owner_id), await self._organization(session, owner_id)

        return await self._database.run(work)

    async def list(self, *, prefix: str | None = None, after: str | None = None, limit: int = 100) -> Sequence[Wallet]:
        """Return wallets without their grants, in order of their owner ids, starting after `after`."""
        return await self._database.run(
            lambda session: self._credit.wallets(session, prefix=prefix, after=after, limit=limit)
        )

    async def grants(self, owner_id: str) -> Sequence[Grant]:
        """Return all grants of a wallet, used and expired ones included, oldest first (at most 1,000)."""
        return await self._database.run(lambda session: self._credit.grants(session, owner_id))

    async def grant(self, owner_id: str, spec: GrantSpec) -> tuple[Grant, Wallet, bool]:
        """Add a grant to a wallet, creating the wallet if needed; each key adds it once (True for a replay)."""
        check_external_id(owner_id, param="owner_id")
        return await self._database.run(lambda session: self._credit.grant(session, owner_id, spec))

    async def transactions(self, owner_id: str, *, before: int | None, limit: int) -> Sequence[CreditTransaction]:
        """Return a wallet's transactions, newest first, below sequence number `before`."""
        return await self._database.run(
            lambda session: self._credit.transactions(session, owner_id, before=before, limit=limit)
        )

    async def _organization(self, session: AsyncSession, owner_id: str) -> str | None:
        (facts,) = await self._members.facts(session, [(owner_id, None)])
        return facts.organization_id


def _set_low_balance(wallet: WalletState, low: Decimal | None) -> None:
    """Set the threshold of the low-balance warning; after a change, the owner can be warned again."""
    threshold = to_micros(low, param="low_balance") if low is not None else None
    if threshold != wallet.low_balance:
        wallet.low_balance, wallet.low_told_at = threshold, None


def _set_top_up(wallet: WalletState, rule: tuple[Decimal, Decimal] | None) -> None:
    if rule is None:
        wallet.top_up_below = wallet.top_up_amount = None
        return
    below, credits = to_micros(rule[0], param="top_up.below"), to_micros(rule[1], param="top_up.credits")
    if credits <= 0:
        raise InvalidError("top_up.credits must be more than 0", param="top_up.credits")
    wallet.top_up_below, wallet.top_up_amount = below, credits


def _set_limit(wallet: WalletState, limit: int) -> None:
    used = limit - wallet.credit_limit + wallet.free + wallet.clawback_debt
    if used < 0:
        raise InvalidError(
            f"credit_limit must be at least {to_credits(limit - used).normalize():f}: this much of it is owed or held",
            param="credit_limit",
        )
    wallet.credit_limit = limit
