"""Handler of usage event messages.

A message holds one object or an array of objects; accepted events count, rejected ones become dead letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faregate.core.errors import FaregateError, InvalidError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import Ack, DeadLetter, Decision, Delivery, ITransport, OutgoingMessage
from faregate.core.values.json_items import Unreadable
from faregate.usage.credits_process.bodies import bodies_in
from faregate.usage.events.bodies import events_of
from faregate.usage.events.recorder import EventLike, UsageRecorder
from faregate.usage.events.terms import RESERVED, is_reserved
from faregate.wire import exact_json

__all__ = ["UsageEventHandler"]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Message:
    """One message: its items as received and as events, or the error why it is rejected."""

    delivery: Delivery
    bodies: Sequence[Any]
    events: Sequence[EventLike]
    refusal: str | None = None


class UsageEventHandler:
    """Handles usage event messages, one batch at a time.

    Items without an id get one from the id of their message. If the message has no id either, its first delivery counts,
    and a redelivery becomes a dead letter: it is never counted twice.
    """

    def __init__(self, recorder: UsageRecorder, transport: ITransport) -> None:
        self._recorder = recorder
        self._transport = transport

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Record all events in as few transactions as possible; return the decision for each message.

        Raises:
            EngineUnavailableError: the database is unavailable; nothing was decided.
        """
        messages = [_read(delivery) for delivery in deliveries]
        events = [event for message in messages for event in message.events]
        report = await self._recorder.record(events)
        errors = {item.index: item.error for item in report.rejected}
        decisions: list[tuple[Delivery, Decision]] = []
        first = 0
        for message in messages:
            count = len(message.events)
            failed = {n: errors[first + n] for n in range(count) if first + n in errors}
            decisions.append((message.delivery, await self._decide(message, failed)))
            first += count
        return decisions

    async def _decide(self, message: _Message, failed: dict[int, str]) -> Decision:
        if message.refusal is not None:
            return DeadLetter(message.refusal)
        if not failed:
            return Ack()
        if len(message.bodies) == 1:
            return DeadLetter(f"invalid: {failed[0]}")
        apart = [OutgoingMessage(_alone(message.bodies[number]), {"apart": True}) for number in failed]
        await self._transport.publish(message.delivery.queue, apart)
        log.info("message_taken_apart", items=len(message.bodies), failed=len(failed))
        return Ack()


def _read(delivery: Delivery) -> _Message:
    try:
        bodies = bodies_in(delivery.body)
    except FaregateError as error:
        return _Message(delivery, (), (), f"{error.code}: {error.detail}")
    events = events_of(bodies)
    if delivery.message_id is not None:
        named = [_named(event, delivery, number) for number, event in enumerate(events)]
        return _Message(delivery, bodies, named)
    if delivery.redelivered and any(isinstance(event, dict) and "id" not in event for event in events):
        return _Message(delivery, bodies, (), "redelivered without a message_id or ids: it may have been counted")
    return _Message(delivery, bodies, events)


def _alone(body: Any) -> bytes:
    """Return an item as a message of its own; one that cannot be read stays unchanged."""
    return body.text if isinstance(body, Unreadable) else exact_json.dumps(body)


def _named(event: EventLike, delivery: Delivery, number: int) -> EventLike:
    if not isinstance(event, dict) or event.get("id") is not None:
        return event
    if is_reserved(event.get("source")):  # else the id of the message would replace it
        return InvalidError(f"source: {RESERVED}", param="source")
    return {**event, "source": f"queue:{delivery.queue}", "id": f"{delivery.message_id}/{number}"}
