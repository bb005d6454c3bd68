"""Handler of top-up orders: payment, then grant."""

from collections.abc import Sequence
from uuid import UUID

from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import Ack, DeadLetter, Decision, Delivery, RetryLater
from faregate.credit.services.top_ups import TopUpService
from faregate.wire import exact_json

__all__ = ["TopUpHandler"]

log = get_logger(__name__)


class TopUpHandler:
    """Handles the messages of the outbox that order a payment."""

    def __init__(self, top_ups: TopUpService) -> None:
        self._top_ups = top_ups

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Pay the orders one by one; an order without an answer of the provider is tried again later.

        Raises:
            EngineUnavailableError: the database is unavailable; nothing was decided.
        """
        return [(delivery, await self._decide(delivery)) for delivery in deliveries]

    async def _decide(self, delivery: Delivery) -> Decision:
        try:
            order_id = UUID(str(exact_json.loads(delivery.body)["order_id"]))
        except (FaregateError, KeyError, TypeError, ValueError) as error:
            return DeadLetter(f"not an order: {error}")
        try:
            await self._top_ups.fulfil(order_id)
        except EngineUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  a provider of the host may raise anything: try again later
            log.warning("top_up_waits", order_id=str(order_id), reason=str(error))
            return RetryLater(f"{type(error).__name__}: {error}")
        return Ack()
