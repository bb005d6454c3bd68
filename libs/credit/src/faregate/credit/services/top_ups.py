"""Payment of automatic top-up orders, each order once."""

from uuid import UUID

from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError
from faregate.core.logging import get_logger
from faregate.credit.errors import PaymentDeclinedError
from faregate.credit.interfaces import ITopUpProvider, Payment, PaymentOrder
from faregate.credit.services.top_up_orders import TopUpOrders

__all__ = ["NoProvider", "OnAccountProvider", "TopUpService"]

log = get_logger(__name__)


class NoProvider:
    """Used if no payment provider is configured: orders wait until one is."""

    async def pay(self, order: PaymentOrder) -> Payment:
        raise ConfigurationError(f"order {order.order_id} cannot be paid: no payment provider is configured")


class OnAccountProvider:
    """Accepts every order without a payment; the operator invoices the purchases of the ledger later."""

    async def pay(self, order: PaymentOrder) -> Payment:
        return Payment(f"on-account:{order.order_id}")


class TopUpService:
    """Pays orders; owns its transactions. After a crash at any point the order is processed again, and paid once.

    No transaction is open while the provider answers.
    """

    def __init__(self, database: Database, orders: TopUpOrders, provider: ITopUpProvider) -> None:
        self._database = database
        self._orders = orders
        self._provider = provider

    async def fulfil(self, order_id: UUID) -> None:
        """Have an order paid and grant its credits. Safe to repeat.

        Raises:
            Any error of the provider except a decline: the order stays open.
        """
        found = await self._database.run(lambda session: self._orders.requested(session, order_id))
        if found is None:
            return
        wallet_id, order = found
        try:
            payment = await self._provider.pay(order)
        except PaymentDeclinedError as declined:
            reason = declined.detail
            log.warning("top_up_declined", order_id=str(order_id), reason=reason)
            await self._database.run(lambda session: self._orders.decline(session, wallet_id, order, reason))
            return
        await self._database.run(lambda session: self._orders.fulfil(session, wallet_id, order, payment))
        log.info("top_up_paid", order_id=str(order_id), credits=str(order.credits))
