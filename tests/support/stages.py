"""Two callers on one ledger, paused at chosen places.

Each caller is a library of its own, with separate connections.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from dependency_injector import providers
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import FixedClock
from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.settings import load_settings
from faregate.credit.container import CreditContainer
from faregate.credit.ledger.states import TransferNote
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.credit.storage.sql import LOCK_WALLETS
from faregate.usage.container import UsageContainer
from faregate.usage.service import UsageService
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest

__all__ = ["FEATURE", "OPERATIONS", "Caller", "Operation", "StagedDatabase", "Stop"]

Stop = Literal["before the lock", "before the commit"]
Operation = Literal["settle", "void", "expire", "extend", "refund"]
OPERATIONS: tuple[Operation, ...] = ("settle", "void", "expire", "extend", "refund")
FEATURE = "f"
T = TypeVar("T")


class _DeathError(Exception):
    """The caller died, and its transaction with it."""


class StagedDatabase(Database):
    """Pauses at one place, if requested, until it may continue or must die.

    The places are the statement that locks wallets, and the commit of a transaction that locked them.
    """

    def __init__(self, url: str, clock: FixedClock) -> None:
        super().__init__(url, pool_size=3)
        self._clock = clock
        self.stop: Stop | None = None
        self.decided_at: datetime | None = None
        self.reached = asyncio.Event()
        self._go_on = asyncio.Event()
        self._dies = False

    def prepare(self, stop: Stop | None) -> None:
        """Pause at `stop`, once."""
        self.stop, self._dies, self.decided_at = stop, False, None
        self.reached.clear()
        self._go_on.clear()

    def go_on(self, *, dies: bool = False) -> None:
        self._dies = dies
        self._go_on.set()

    async def rows(self, session: AsyncSession, sql: str, /, **parameters: Any) -> Sequence[Any]:
        if sql is LOCK_WALLETS:
            await self._pass("before the lock")
            # as the database reads its own clock: with the lock, not before it
            parameters["now"] = self.decided_at = self._clock.now()
        return await super().rows(session, sql, **parameters)

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], *, attempts: int = 6) -> T:
        async def staged(session: AsyncSession) -> T:
            result = await work(session)
            await self._pass("before the commit")
            return result

        return await super().run(staged, attempts=attempts)

    async def _pass(self, place: Stop) -> None:
        if self.stop != place:
            return
        self.stop = None
        self.reached.set()
        await self._go_on.wait()
        if self._dies:
            raise _DeathError


class Caller:
    """Performs one operation at a time on one key, by the same services that gateway and worker use.

    Attributes:
        ended: called when an operation has ended, with the caller's name and the time at which it was decided.
    """

    def __init__(self, name: str, url: str, clock: FixedClock, ended: Callable[[str, datetime], None]) -> None:
        self.name = name
        self.database = StagedDatabase(url, clock)
        self._clock = clock
        self._ended = ended
        core = CoreContainer(settings=load_settings(database_url=url))
        core.database.override(providers.Object(self.database))
        self.core = core
        self.credit = CreditContainer(
            settings=core.settings,
            database=core.database,
            subjects=core.subjects,
            outbox=core.outbox,
            progress=core.heartbeats,
            clock=providers.Object(clock),
        )
        self.usage = UsageContainer(
            settings=core.settings,
            database=core.database,
            subjects=core.subjects,
            credit=self.credit.service,
            clock=core.clock,
        )

    @property
    def service(self) -> UsageService:
        return self.usage.service()

    async def do(self, operation: Operation, key: str, user: str) -> str:
        """Return the caller's result: a word for success, or the code of a refusal; "died" if it was made to die."""
        try:
            told = await getattr(self, f"_{operation}")(key, user)
        except FaregateError as refusal:
            told = refusal.code
        except _DeathError:
            return "died"
        self._ended(self.name, self.database.decided_at or self._clock.now())
        return str(told)

    async def _settle(self, key: str, user: str) -> str:
        usage = ModelUsage(None, quantity=Decimal(1), unit="call")
        settled = await self.service.settle(SettleRequest(key, user, FeatureRef(value=FEATURE), (usage,)))
        return "settled again" if settled.replayed else "settled"

    async def _void(self, key: str, user: str) -> str:
        await self.service.void(key, user_id=user)
        return "voided"

    async def _expire(self, _key: str, _user: str) -> str:
        await self.database.run(self.credit.service().sweep)
        return "swept"

    async def _extend(self, key: str, user: str) -> str:
        await self.service.extend(key, user_id=user, ttl_seconds=3600)
        return "extended"

    async def _refund(self, key: str, _user: str) -> str:
        charges = [each for each in (await self.service.story(key)).transactions if each.kind == "charge"]
        if not charges:
            return "nothing to refund"
        note = TransferNote(operation_key=f"refund-by-{self.name}", actor="test", reason="test")
        desk: Bookkeeping = self.credit.bookkeeping()
        await desk.refund(charges[0].id, amount=None, note=note)
        return "refunded"
