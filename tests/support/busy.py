"""A small ledger with every kind of operation, for tests of proofs."""

from datetime import timedelta
from typing import Any

from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.credit.errors import PaymentDeclinedError
from faregate.credit.interfaces import Payment, PaymentOrder
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.holds import HoldRequest
from faregate.credit.ledger.limits import LimitPeriod, user_scope
from faregate.credit.ledger.reasons import operation_digest
from faregate.credit.ledger.states import TransferNote, WalletState
from support.ledger import START, DatabaseLedger, make_credit, micros

__all__ = ["BusyLedger"]


class _Provider:
    """A payment provider that declines carl only."""

    async def pay(self, order: PaymentOrder) -> Payment:
        if order.owner_id == "carl":
            raise PaymentDeclinedError("no money")
        return Payment("paid")


class BusyLedger:
    """Five wallets: ada has all kinds of grants and corrections, bob a credit limit, carl, dora and eve top-ups."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledgers = {name: DatabaseLedger(database) for name in ("ada", "bob", "carl", "dora", "eve")}
        clock = self.ledgers["ada"].clock
        self.credit = make_credit(database, clock=clock, provider=_Provider())
        for name, ledger in self.ledgers.items():
            ledger.OWNER, ledger.clock = name, clock
            ledger.service, ledger.repository = self.credit.service, self.credit.repository

    async def live(self) -> None:
        """Perform every kind of operation."""
        await self._ada()
        await self._bob()
        for name in ("carl", "dora", "eve"):
            await self._top_up(name)
        await self._limits()

    async def _ada(self) -> None:
        ada, hour = self.ledgers["ada"], timedelta(hours=1)
        await ada.grant("bought", 100, expires_at=START + 40 * hour)
        await ada.grant("bonus", 20, source=GrantSource.BONUS, expires_at=START + 3 * hour)
        await ada.grant("plan", 10, source=GrantSource.PLAN, every="hour", rollover_max=5)
        await ada.grant("pictures", 30, features=["images"])
        await ada.grant("later", 7, effective_at=START + 2 * hour)
        await ada.grant("much later", 7, effective_at=START + 2000 * hour)
        await ada.grant("taken back", 9)
        for number in range(6):
            await ada.hold(f"a{number}", 5 + number)
            await ada.settle(f"a{number}", 2 * number + 1)
            ada.clock.advance(minutes=7)
        await ada.hold("image", 12, feature="images")
        await ada.settle("image", 3, feature="images")
        await ada.hold("voided", 4)
        await ada.void("voided")
        await ada.hold("lapsed", 4, ttl=60)
        await ada.void_grant("taken back")
        ada.clock.advance(hours=1)
        await ada.settle("lapsed", 2)
        for number, share in enumerate((None, 1, 2)):
            await self._refund("ada", f"a{number + 2}", share)
        await self._adjust("ada", 3)
        await self._adjust("ada", -2)
        await self._charge_back("ada", "bought")
        ada.clock.advance(hours=3)
        await ada.use(6)
        await self._refund("ada", "a5", None)
        await ada.hold("open", 5, ttl=80_000)
        await ada.hold("open image", 6, feature="images", ttl=80_000)
        await ada.settle("free", 0)
        await ada.use(500)

    async def _bob(self) -> None:
        bob = self.ledgers["bob"]
        await bob.grant("first", 5)
        await bob.set_limit(20)
        await bob.settle("b1", 12)
        await bob.settle("b2", 8)
        await bob.grant("repays", 4)
        await self._refund("bob", "b2", 1)
        await bob.grant("more", 40)
        await bob.settle("b3", 5)
        await self._refund("bob", "b2", None)
        for number in range(4, 9):
            await bob.settle(f"b{number}", 1)
        await bob.hold("b open", 3, ttl=80_000)

    async def _top_up(self, name: str) -> None:
        ledger = self.ledgers[name]
        await ledger.grant("small", 3)

        def rule(wallet: WalletState) -> None:
            wallet.top_up_below, wallet.top_up_amount = micros(2), micros(10)

        await self.database.run(lambda session: self.credit.service.change_wallet(session, name, rule))
        await ledger.settle(f"{name} 1", 2)
        if name != "eve":
            orders = await self.rows("select order_id from faregate.top_up where status = 'requested'")
            await self.credit.top_ups.fulfil(orders[0].order_id)
        ledger.clock.advance(minutes=1)

    async def _limits(self) -> None:
        wallet_id = (await self.ledgers["bob"].state())[0].wallet_id
        scope = user_scope(wallet_id)
        await self.database.run(
            lambda session: self.credit.limits.set(session, scope, LimitPeriod.DAY, soft=None, hard=micros(50))
        )
        requests = [
            HoldRequest(
                f"limited {n}",
                wallet_id,
                wallet_id,
                None,
                "f",
                "individual",
                micros(2 + n),
                80_000,
                b"",
                None,
                (scope,),
            )
            for n in range(2)
        ]
        await self.database.run(lambda session: self.credit.service.authorize(session, requests))
        await self.ledgers["bob"].settle("limited 1", 1)

    async def _refund(self, owner: str, key: str, credits: int | None) -> None:
        id_ = await self._transaction(owner, usage_key=key)
        amount = None if credits is None else micros(credits)
        note = TransferNote(actor="support", reason="it was wrong", operation_key=f"refund {key} {credits}")
        await self._try(lambda session: self.credit.corrections.refund(session, id_, amount=amount, note=note))

    async def _adjust(self, owner: str, credits: int) -> None:
        note = TransferNote(actor="support", reason="by hand", operation_key=f"adjust {credits}")
        await self._try(
            lambda session: self.credit.corrections.adjust(session, owner, amount=credits * 1_000_000, note=note)
        )

    async def _charge_back(self, owner: str, key: str) -> None:
        id_ = await self._transaction(owner, operation_key=str(operation_digest(key)))
        note = TransferNote(actor="bank", reason="reversed")
        await self._try(lambda session: self.credit.corrections.charge_back(session, id_, note=note))

    async def _try(self, work: Any) -> None:
        try:
            await self.database.run(work)
        except FaregateError as error:
            raise AssertionError(f"{error!r} in the life of the ledger") from error

    async def _transaction(self, owner: str, **by: str) -> str:
        ((column, value),) = by.items()
        wallet_id = (await self.ledgers[owner].state())[0].wallet_id
        rows = await self.rows(
            f"select seq from faregate.transfer where wallet_id = {wallet_id} and {column} = '{value}' order by seq limit 1"
        )
        return f"{wallet_id}-{rows[0].seq}"

    async def rows(self, sql: str) -> Any:
        async with self.database.transaction() as session:
            return await self.database.rows(session, sql)
