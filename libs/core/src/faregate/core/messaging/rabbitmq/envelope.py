"""Headers and properties of messages, and their conversion.

Converts a received AMQP message to a delivery or a dead letter, and these to messages to publish.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast
from uuid import uuid4

from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from faregate.core.messaging.interfaces import DeadMessage, Delivery
from faregate.core.messaging.rabbitmq.frames import UNREADABLE
from faregate.core.messaging.rabbitmq.headers import kept_headers
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.received import Received
from faregate.wire.queues import MESSAGE_ID_HEADER

__all__ = ["Envelope", "attempt_of", "dead_letter_of", "delivery_of", "retry_headers", "unreadable"]

ATTEMPT = "x-attempt"
MESSAGE_ID = MESSAGE_ID_HEADER
"""The AMQP `message_id` identifies one publish and is never reused; this header identifies the message."""
QUEUE, REASON, DEAD_AT = "x-queue", "x-reason", "x-dead-at"
_OURS = frozenset({ATTEMPT, MESSAGE_ID, QUEUE, REASON, DEAD_AT, UNREADABLE})
_KEPT_PROPERTIES = ("content_type", "content_encoding", "correlation_id", "reply_to", "message_type", "app_id")
"""Properties of the publisher that copies keep. Not `expiration`: a copy must not expire unnoticed."""
_AHEAD = timedelta(minutes=5)
"""How far a publisher's clock may be ahead. A later time is ignored."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message to publish; `properties` are new at each attempt to publish it."""

    routing_key: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    exchange: str = ""
    published_at: datetime | None = None
    theirs: Mapping[str, str] = field(default_factory=dict[str, str])
    """Properties of the original message, if this is a copy."""

    def properties(self) -> Basic.Properties:
        """Return persistent properties with a message id that no other publish has.

        aiormq identifies a returned message by this id; a reused id would mix up the outcomes of two publishes.
        """
        return Basic.Properties(
            **cast("dict[str, Any]", {"content_type": "application/json", **self.theirs}),
            delivery_mode=2,
            message_id=uuid4().hex,
            timestamp=self.published_at,
            headers=kept_headers(self.headers, ours=_OURS),
        )


def delivery_of(queue: str, message: Received, channel: AbstractChannel, now: datetime) -> Delivery:
    """Return `message` as a `Delivery`. Its token is the channel, the tag and the publisher's properties."""
    properties = message.properties
    headers: dict[str, Any] = properties.get("headers") or {}
    attempt = attempt_of(headers)
    return Delivery(
        queue=queue,
        body=message.body,
        message_id=_text(headers.get(MESSAGE_ID)) or properties.get("message_id") or None,
        attempt=attempt,
        redelivered=message.redelivered or attempt > 1,
        published_at=_published_at(properties.get("timestamp"), now),
        headers={name: value for name, value in headers.items() if not _is_internal(name)},
        token=(channel, message.tag, {name: properties[name] for name in _KEPT_PROPERTIES if properties.get(name)}),
    )


def unreadable(message: Received) -> str | None:
    """Return why the headers of a message could not be decoded."""
    headers = message.properties.get("headers")
    return _text(headers.get(UNREADABLE)) if headers else None


def retry_headers(delivery: Delivery) -> dict[str, Any]:
    """Return the headers of the next attempt; a message without an id gets one, so that all its copies have the same."""
    return {
        **delivery.headers,
        ATTEMPT: delivery.attempt + 1,
        MESSAGE_ID: delivery.message_id or uuid4().hex,
    }


def dead_headers(delivery: Delivery, reason: str, now: datetime) -> dict[str, Any]:
    """Return the headers of a dead letter."""
    named = {MESSAGE_ID: delivery.message_id} if delivery.message_id else {}
    return {
        **delivery.headers,
        **named,
        ATTEMPT: delivery.attempt,
        QUEUE: delivery.queue,
        REASON: reason,
        DEAD_AT: now,
    }


def dead_letter_of(message: DeliveredMessage, names: QueueNames) -> DeadMessage:
    """Return a message of the dead letter queue: dead-lettered by us, or by the broker for being delivered too often."""
    headers = headers_of(message)
    if REASON not in headers:
        return _dead_by_broker(message, headers, names)
    return DeadMessage(
        id=message.header.properties.message_id or sha256(message.body).hexdigest()[:32],
        queue=_text(headers.get(QUEUE)) or names.ours(str(message.routing_key)),
        reason=_text(headers[REASON]) or "unknown",
        attempts=attempt_of(headers),
        body=message.body,
        dead_at=_moment(headers.get(DEAD_AT)),
    )


def replayed(message: DeliveredMessage, now: datetime, names: QueueNames) -> Envelope:
    """Return a dead letter as a new message of its queue; it keeps its id, so that it is still charged once."""
    letter, headers = dead_letter_of(message, names), headers_of(message)
    kept = {name: value for name, value in headers.items() if not _is_internal(name)}
    name = _text(headers.get(MESSAGE_ID)) or message.header.properties.message_id or letter.id
    return Envelope(
        names.on_broker(letter.queue),
        letter.body,
        {**kept, MESSAGE_ID: name},
        published_at=now,
        theirs=_publisher_properties(message),
    )


def headers_of(message: DeliveredMessage) -> dict[str, Any]:
    """Return the headers of `message`; an empty dict if it has none."""
    return dict(message.header.properties.headers or {})


def attempt_of(headers: Mapping[str, Any]) -> int:
    """Return the number of this attempt; an invalid value from another publisher counts as the first."""
    found = headers.get(ATTEMPT)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 1


def _dead_by_broker(message: DeliveredMessage, headers: Mapping[str, Any], names: QueueNames) -> DeadMessage:
    death = _first_death(headers.get("x-death"))
    why = str(_text(death.get("reason")) or _text(headers.get("x-first-death-reason")) or "unknown")
    named = "delivered too often without a decision" if why == "delivery_limit" else f"set aside by the broker: {why}"
    queue = str(_text(death.get("queue")) or _text(headers.get("x-first-death-queue")) or message.routing_key)
    name = f"{message.header.properties.message_id}:{queue}:{death.get('time')}:".encode()
    return DeadMessage(
        id=sha256(name + message.body).hexdigest()[:32],
        queue=names.ours(queue),
        reason=named,
        attempts=attempt_of(headers),
        body=message.body,
        dead_at=_moment(death.get("time")),
    )


def _first_death(value: object) -> Mapping[str, Any]:
    """Return the broker's record of the first dead-lettering; an invalid value from another publisher is ignored."""
    first = cast("list[object]", value)[0] if isinstance(value, list) and value else None
    return cast("dict[str, Any]", first) if isinstance(first, dict) else {}


def _published_at(at: datetime | None, now: datetime) -> datetime | None:
    return at if at is not None and at <= now + _AHEAD else None


def _publisher_properties(message: DeliveredMessage) -> dict[str, str]:
    found = {name: getattr(message.header.properties, name) for name in _KEPT_PROPERTIES}
    return {name: value for name, value in found.items() if value}


@lru_cache(maxsize=512)
def _is_internal(name: str) -> bool:
    return name in _OURS or name == "x-delivery-count" or "death" in name or name == "x-acquired-count"


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC)


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    return value if isinstance(value, str) else None
