"""Relay of outbox messages to the broker."""

from collections.abc import Sequence

from faregate.core.messaging.interfaces import Ack, Decision, Delivery, ITransport, OutgoingMessage
from faregate.core.runtime.failpoints import failpoint
from faregate.wire.queues import MESSAGE_ID_HEADER

__all__ = ["RelayHandler"]


class RelayHandler:
    """Publishes messages that were written in a transaction, or stored in PostgreSQL before a broker was configured.

    Each keeps its id, so that a message that is relayed twice is charged once.
    """

    def __init__(self, transport: ITransport) -> None:
        self._transport = transport

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Publish all messages; they are removed from the outbox only after the broker has confirmed them.

        Raises:
            EngineUnavailableError: the broker is unavailable; nothing was decided.
        """
        for queue in dict.fromkeys(delivery.queue for delivery in deliveries):
            messages = [_message(delivery) for delivery in deliveries if delivery.queue == queue]
            await self._transport.publish(queue, messages)
        failpoint("relayed")
        return [(delivery, Ack()) for delivery in deliveries]


def _message(delivery: Delivery) -> OutgoingMessage:
    return OutgoingMessage(delivery.body, {MESSAGE_ID_HEADER: delivery.message_id, **delivery.headers})
