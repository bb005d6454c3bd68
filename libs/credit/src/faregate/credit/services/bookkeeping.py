"""Bookkeeping by finance and support: corrections, statements and spending limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.credit.ledger.limits import EVERY_MEMBER, LimitPeriod, member_scope, user_scope
from faregate.credit.ledger.states import TransferNote
from faregate.credit.services.accounting import AccountingService, AccountStatement, Digest
from faregate.credit.services.corrections import CorrectionService, actor_and_reason
from faregate.credit.services.credits import CreditService
from faregate.credit.services.spending_limits import LimitService, SpendingLimit
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.wire.ids import organization_id_of, organization_owner_id

__all__ = ["Bookkeeping", "LimitBounds", "MemberLimit", "OwnedLimit"]

LimitBounds = tuple[LimitPeriod, int | None, int | None]
"""A period with its soft and its hard bound in micro-credits; both None removes the limit."""

MemberLimit = tuple[str | None, SpendingLimit]
"""The member's user id (None: all members without a limit of their own), and the limit."""


@dataclass(frozen=True, slots=True)
class OwnedLimit:
    """A limit and whose it is: a user, a member of an organisation's pool, or the client of an API key."""

    limit: SpendingLimit
    user_id: str | None = None
    organization_id: str | None = None
    client: str | None = None


class Bookkeeping:
    """Corrections, statements and limits by owner id. Owns its transactions and repeats them after a deadlock.

    The services that it calls (`CorrectionService`, `AccountingService`, `LimitService`) work in the caller's transaction.
    """

    def __init__(
        self,
        database: Database,
        credit: CreditService,
        corrections: CorrectionService,
        accounting: AccountingService,
        limits: LimitService,
        subjects: Subjects,
    ) -> None:
        self._database = database
        self._credit = credit
        self._corrections = corrections
        self._accounting = accounting
        self._limits = limits
        self._subjects = subjects

    async def refund(self, transaction_id: str, *, amount: int | None, note: TransferNote) -> CreditTransaction:
        """Refund a charge, fully (None) or in part; see `CorrectionService.refund`."""
        return await self._database.run(
            lambda session: self._corrections.refund(session, transaction_id, amount=amount, note=note)
        )

    async def charge_back(self, transaction_id: str, *, note: TransferNote) -> list[CreditTransaction]:
        """Reverse a purchase whose payment was reversed; see `CorrectionService.charge_back`."""
        return await self._database.run(
            lambda session: self._corrections.charge_back(session, transaction_id, note=note)
        )

    async def adjust(self, owner_id: str, *, amount: int, note: TransferNote) -> CreditTransaction:
        """Correct a balance manually, up or down; see `CorrectionService.adjust`."""
        return await self._database.run(
            lambda session: self._corrections.adjust(session, owner_id, amount=amount, note=note)
        )

    async def void_grant(self, owner_id: str, grant_id: UUID, *, note: TransferNote) -> tuple[Grant, Wallet]:
        """Void a grant; see `CreditService.void_grant`."""
        actor, reason = actor_and_reason(note)
        return await self._database.run(
            lambda session: self._credit.void_grant(session, owner_id, grant_id, actor=actor, reason=reason)
        )

    async def statement(self, owner_id: str | None, *, since: datetime, until: datetime) -> AccountStatement:
        """Return the statement of one wallet, or (None) of all together; see `AccountingService.statement`."""

        async def work(session: AsyncSession) -> AccountStatement:
            wallet_id = (await self._credit.get_owner(session, owner_id)).subject_id if owner_id is not None else None
            return await self._accounting.statement(session, wallet_id, since=since, until=until)

        return await self._database.run(work)

    async def balance_at(self, owner_id: str, moment: datetime) -> Decimal:
        """Return a wallet's balance just before `moment`."""

        async def work(session: AsyncSession) -> Decimal:
            wallet_id = (await self._credit.get_owner(session, owner_id)).subject_id
            return await self._accounting.balance_at(session, wallet_id, moment)

        return await self._database.run(work)

    async def digest(self) -> Digest:
        """Return one hash over the heads of all wallets' chains."""
        return await self._database.run(self._accounting.digest)

    async def set_user_limits(self, user_id: str, bounds: Iterable[LimitBounds]) -> Sequence[SpendingLimit]:
        """Set a user's limits in some periods, no matter which wallet pays; return all limits of the user."""
        wanted = list(bounds)

        async def work(session: AsyncSession) -> Sequence[SpendingLimit]:
            scope = user_scope((await self._credit.ensure_wallets(session, [user_id]))[user_id].subject_id)
            await self._limits.set_all(session, scope, wanted)
            return await self._limits.list(session, scopes=[scope])

        return await self._database.run(work)

    async def set_member_limits(
        self, organization_id: str, member: str | None, bounds: Iterable[LimitBounds]
    ) -> Sequence[MemberLimit]:
        """Set the limits of a pool member, or (None) of all members without a limit of their own; return all limits."""
        wanted, pool = list(bounds), organization_owner_id(organization_id)

        async def work(session: AsyncSession) -> Sequence[MemberLimit]:
            owners = await self._credit.ensure_wallets(session, [pool, *([member] if member is not None else [])])
            who = owners[member].subject_id if member is not None else EVERY_MEMBER
            await self._limits.set_all(session, member_scope(owners[pool].subject_id, who), wanted)
            return await self._member_limits(session, owners[pool].subject_id)

        return await self._database.run(work)

    async def member_limits(self, organization_id: str) -> Sequence[MemberLimit]:
        """Return the limits and the spending of a pool's members; none for an unknown pool."""

        async def work(session: AsyncSession) -> Sequence[MemberLimit]:
            pool = organization_owner_id(organization_id)
            found = (await self._credit.find_owners(session, [pool])).get(pool)
            return await self._member_limits(session, found.subject_id) if found is not None else []

        return await self._database.run(work)

    async def user_limits(self, user_id: str) -> Sequence[SpendingLimit]:
        """Return a user's limits and spending, by period."""

        async def work(session: AsyncSession) -> Sequence[SpendingLimit]:
            scope = user_scope((await self._credit.get_owner(session, user_id)).subject_id)
            return await self._limits.list(session, scopes=[scope])

        return await self._database.run(work)

    async def all_limits(self) -> Sequence[OwnedLimit]:
        """Return the limits of all users, members and API keys with what is spent, at most 1,000 of each kind."""

        async def work(session: AsyncSession) -> Sequence[OwnedLimit]:
            found = [
                limit
                for kind in ("member:", "user:", "key:")
                for limit in await self._limits.list(session, prefix=kind)
            ]
            numbers = {int(part) for limit in found for part in limit.scope.split(":")[1:] if _is_number(limit, part)}
            named = await self._subjects.named(session, sorted(numbers))
            names = {number: subject.external_id for number, subject in named.items()}
            return [_owned(limit, names) for limit in found if not limit.scope.endswith(f":{EVERY_MEMBER}")]

        return await self._database.run(work)

    async def _member_limits(self, session: AsyncSession, pool: int) -> Sequence[MemberLimit]:
        limits = await self._limits.list(session, prefix=member_scope(pool, ""))
        ids = {limit.scope: limit.scope.rpartition(":")[2] for limit in limits}
        named = await self._subjects.named(session, [int(who) for who in ids.values() if who != EVERY_MEMBER])
        return [
            (None if ids[limit.scope] == EVERY_MEMBER else named[int(ids[limit.scope])].external_id, limit)
            for limit in limits
        ]


def _is_number(limit: SpendingLimit, part: str) -> bool:
    return not limit.scope.startswith("key:") and part != EVERY_MEMBER


def _owned(limit: SpendingLimit, names: Mapping[int, str]) -> OwnedLimit:
    kind, _, rest = limit.scope.partition(":")
    if kind == "key":
        return OwnedLimit(limit, client=rest.removeprefix("key:"))
    first, _, member = rest.partition(":")
    if kind == "user":
        return OwnedLimit(limit, user_id=names.get(int(first)))
    return OwnedLimit(limit, names.get(int(member)), organization_id_of(names.get(int(first))))
