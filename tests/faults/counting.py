"""Counts of the deliveries that a process takes from RabbitMQ and decides."""

from collections import Counter
from collections.abc import Sequence

from faregate.core.messaging.interfaces import Decision, Delivery
from faregate.core.messaging.rabbitmq.consumer import RabbitConsumer

__all__ = ["count_deliveries"]


def count_deliveries(queue: str) -> Counter[str]:
    """Count the messages of `queue` that this process takes and decides from now on, and redeliveries among them."""
    counts = Counter[str]()
    take, decide = RabbitConsumer.take, RabbitConsumer.decide

    async def taking(self: RabbitConsumer, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        deliveries = await take(self, limit, wait_seconds=wait_seconds)
        if self.queue == queue:
            counts["taken"] += len(deliveries)
            counts["redelivered"] += sum(delivery.redelivered for delivery in deliveries)
            counts["tried before"] += sum(delivery.attempt > 1 for delivery in deliveries)
        return deliveries

    async def deciding(self: RabbitConsumer, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        await decide(self, decisions)
        counts["decided"] += len(decisions) if self.queue == queue else 0

    RabbitConsumer.take, RabbitConsumer.decide = taking, deciding  # type: ignore[method-assign]
    return counts
