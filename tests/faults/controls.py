"""Negative controls: workers with a defect that the judge must detect.

One settles messages twice, the other loses them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from faregate.core.messaging.interfaces import Ack, Decision, Delivery
from faregate.core.messaging.rabbitmq.consumer import RabbitConsumer
from faregate.worker.handlers import settlement

__all__ = ["CONTROLS", "apply"]

_unique = itertools.count()


def without_dedupe() -> None:
    """Settle each delivery separately, like a worker that does not deduplicate by usage key."""
    read = settlement._request  # pyright: ignore[reportPrivateUsage]

    def unrecognised(delivery: Delivery, data: Any, number: int, count: int) -> Any:
        found = read(delivery, data, number, count)
        if isinstance(found, Exception) or not delivery.redelivered:
            return found
        return replace(found, usage_key=f"{found.usage_key}#{id(delivery)}-{next(_unique)}")

    settlement._request = unrecognised  # pyright: ignore[reportPrivateUsage]


def acknowledging_first() -> None:
    """Acknowledge messages when they are taken, before they are settled."""
    take, copy = RabbitConsumer.take, RabbitConsumer._copy

    async def hasty(self: RabbitConsumer, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        deliveries = await take(self, limit, wait_seconds=wait_seconds)
        if deliveries:
            await self._acknowledge([delivery.token[1] for delivery in deliveries])
        return deliveries

    async def copying(self: RabbitConsumer, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        copies = [copy(self, delivery, decision) for delivery, decision in decisions if not isinstance(decision, Ack)]
        await self._publisher.publish(copies)

    RabbitConsumer.take = hasty  # type: ignore[method-assign]
    RabbitConsumer.decide = copying  # type: ignore[method-assign]


CONTROLS = {"without dedupe": without_dedupe, "acknowledging first": acknowledging_first}


def apply(name: str | None) -> None:
    """Give this process the defect called `name`."""
    if name is not None:
        CONTROLS[name]()
