"""Handler of feature log messages.

A message holds one object or an array of objects; logs that cannot be stored become redacted dead letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faregate.core.errors import FaregateError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import (
    Ack,
    DeadLetter,
    Decision,
    Delivery,
    ITransport,
    OutgoingMessage,
    RetryLater,
)
from faregate.core.privacy.key_ring import KeyRing, SealedError
from faregate.core.redaction.records import IRedactor
from faregate.core.runtime.gc_tuning import gc_paused
from faregate.core.values.json_items import Unreadable
from faregate.feature_log.bodies import entry_of, redacted_item
from faregate.feature_log.service import FeatureLogService
from faregate.feature_log.values import LogEntry, Recorded
from faregate.usage.credits_process.bodies import bodies_in
from faregate.wire import exact_json

__all__ = ["FeatureLogHandler"]

log = get_logger(__name__)

_REDACTED = "redacted"
"""The header of messages that this handler published: they are redacted and may be kept unchanged."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One object of a message: an entry, or the error why it is not one."""

    data: Any
    entry: LogEntry | FaregateError


class FeatureLogHandler:
    """Handles feature log messages, one batch at a time.

    A message that cannot be stored may hold secrets, so the original is not kept: a redacted copy is published to the queue
    instead, and that copy becomes the dead letter.
    """

    def __init__(self, logs: FeatureLogService, transport: ITransport, redactor: IRedactor, ring: KeyRing) -> None:
        self._logs = logs
        self._transport = transport
        self._redactor = redactor
        self._ring = ring

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Store all entries in one transaction; return the decision for each message.

        Raises:
            EngineUnavailableError: the database is unavailable; nothing was decided.
        """
        opened = [(delivery, self._opened(delivery)) for delivery in deliveries]
        shut: list[tuple[Delivery, Decision]] = [
            (delivery, DeadLetter(body.detail)) for delivery, body in opened if isinstance(body, SealedError)
        ]
        with gc_paused():
            messages = [(delivery, body, _items(body)) for delivery, body in opened if isinstance(body, bytes)]
        entries = [item.entry for *_, items in messages for item in items if isinstance(item.entry, LogEntry)]
        outcomes = iter(await self._logs.record(entries) if entries else ())
        decisions = shut
        for delivery, body, items in messages:
            results = [next(outcomes) if isinstance(item.entry, LogEntry) else item.entry for item in items]
            decisions.append((delivery, await self._decide(delivery, body, items, results)))
        return decisions

    async def _decide(
        self, delivery: Delivery, body: bytes, items: Sequence[_Item], results: Sequence[Recorded | FaregateError]
    ) -> Decision:
        failed = [(item, result) for item, result in zip(items, results, strict=True) if isinstance(result, Exception)]
        if not failed:
            return Ack()
        if delivery.headers.get(_REDACTED) and len(items) == 1:
            error = failed[0][1]
            reason = self._redactor.text(f"{error.code}: {error.public_detail}")
            return RetryLater(reason) if error.retryable else DeadLetter(reason)
        copies = [
            OutgoingMessage(self._sealed(delivery, self._copy(body, item)), {_REDACTED: True}) for item, _ in failed
        ]
        await self._transport.publish(delivery.queue, copies)
        log.info("feature_logs_set_aside", items=len(items), failed=len(failed))
        return Ack()

    def _opened(self, delivery: Delivery) -> bytes | SealedError:
        """Return the body, or the error why it cannot be decrypted.

        Such a message becomes a dead letter unchanged, to be replayed once its key is configured.
        """
        try:
            return self._ring.open_message(delivery.queue, delivery.body)
        except SealedError as error:
            return error

    def _sealed(self, delivery: Delivery, body: bytes) -> bytes:
        return self._ring.seal_message(delivery.queue, body)

    def _copy(self, body: bytes, item: _Item) -> bytes:
        if item.data is None or isinstance(item.data, Unreadable):
            text = body if item.data is None else item.data.text
            return self._redactor.text(text.decode(errors="replace")).encode()
        return exact_json.dumps(redacted_item(self._redactor, item.data, valid=isinstance(item.entry, LogEntry)))


def _items(body: bytes) -> list[_Item]:
    try:
        bodies = bodies_in(body, mend=True)
    except FaregateError as error:
        return [_Item(None, error)]
    return [_Item(data, _entry(data)) for data in bodies]


def _entry(data: Any) -> LogEntry | FaregateError:
    if isinstance(data, Unreadable):
        return data.error
    try:
        return entry_of(data)
    except FaregateError as error:
        return error
