"""Names of the public queues, and their retry delays."""

from faregate.wire.exact_json import mended

__all__ = [
    "MESSAGE_ID_HEADER",
    "PUBLIC_QUEUES",
    "RETRY_DELAYS_SECONDS",
    "SETTLE_MULTIMODEL_QUEUE",
    "SETTLE_QUEUE",
    "SPENDER_HEADER",
    "kept_reason",
]

SETTLE_MULTIMODEL_QUEUE = "credits_process_end_multimodel_queue"
SETTLE_QUEUE = "credits_process_end_queue"
FEATURE_LOG_QUEUE = "feature_usage_queue"
USAGE_EVENTS_QUEUE = "usage_events_queue"

PUBLIC_QUEUES = (SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE, FEATURE_LOG_QUEUE, USAGE_EVENTS_QUEUE)

RETRY_DELAYS_SECONDS = (5, 30, 300, 3600)
"""Delays before each further attempt at a message; after the last attempt it is dead-lettered."""

DELIVERY_LIMIT = 20
"""Number of deliveries without a result (the consumer died) after which a message is treated as poison."""

SPENDER_HEADER = "spender"
"""Header with the ids of the credential that requested a settlement and of its ancestors, separated by spaces, so that
their spending limits apply when the queue settles it."""

MESSAGE_ID_HEADER = "x-message-id"
"""Header with the id that a message keeps in all its copies and transports; the transport's own id names one copy."""

_REASON_LIMIT = 2_000


def kept_reason(reason: str) -> str:
    """Return the reason why a message was dead-lettered in a form that both transports can store in a header."""
    short = mended(reason)
    return short if len(short) <= _REASON_LIMIT else f"{short[:_REASON_LIMIT]}…"
