"""Top-up orders: have each paid, then grant what it is for."""

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
    """Decides about the messages of the outbox that ask for a payment."""

    def __init__(self, top_ups: TopUpService) -> None:
        self._top_ups = top_ups

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Pay the orders one by one; what the provider does not answer is asked again later.

        Raises:
            EngineUnavailableError: the database is away; nothing was decided.
        """
        return [(delivery, await self._decide(delivery)) for delivery in deliveries]

    async def _decide(self, delivery: Delivery) -> Decision:
        try:
            order_id = UUID(str(exact_json.loads(delivery.body)["order_id"]))
        except (FaregateError, KeyError, TypeError, ValueError) as error:
            return DeadLetter(f"no order: {error}")
        try:
            await self._top_ups.fulfil(order_id)
        except EngineUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a provider of the host raises: ask again later
            log.warning("top_up_waits", order_id=str(order_id), reason=str(error))
            return RetryLater(f"{type(error).__name__}: {error}")
        return Ack()
