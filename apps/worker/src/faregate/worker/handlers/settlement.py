"""Handler of settlement messages.

A message holds one object or an array of objects; each item has its own outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from faregate.core.errors import FaregateError, InvalidError
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
from faregate.core.values.json_items import Unreadable
from faregate.usage.credits_process.bodies import EndBody, EndMultimodelBody, SettlementBody, bodies_in, validated
from faregate.usage.service import UsageService
from faregate.usage.values import SettleRequest
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE, SPENDER_HEADER
from faregate.worker.metrics import WorkerMetrics

__all__ = ["SettlementHandler"]

log = get_logger(__name__)

_KINDS: Mapping[str, type[SettlementBody]] = {SETTLE_MULTIMODEL_QUEUE: EndMultimodelBody, SETTLE_QUEUE: EndBody}


_SPENDER_LIMIT = 512
_ACK = Ack()


@dataclass(frozen=True, slots=True)
class _Item:
    """One object of a message: its request, or the error why it cannot be read."""

    data: Any
    request: SettleRequest | FaregateError


class SettlementHandler:
    """Handles settlement messages, one batch at a time.

    An array whose items have different outcomes is split: failed items become messages of their own, so that no item is
    settled or moved to the dead letters because of another one.
    """

    def __init__(self, usage: UsageService, transport: ITransport, metrics: WorkerMetrics) -> None:
        self._usage = usage
        self._metrics = metrics
        self._transport = transport

    async def handle(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Decision]]:
        """Settle all messages in as few transactions as possible; return the decision for each.

        Raises:
            EngineUnavailableError: the database is unavailable; nothing was decided.
        """
        messages = [(delivery, _items(delivery)) for delivery in deliveries]
        requests = [i.request for _, items in messages for i in items if isinstance(i.request, SettleRequest)]
        settled = await self._usage.settle_batch(requests)
        self._metrics.settled(settled)
        outcomes = iter(settled)
        decisions: list[tuple[Delivery, Decision]] = []
        for delivery, items in messages:
            results = [next(outcomes) if isinstance(i.request, SettleRequest) else i.request for i in items]
            failed = [pair for pair in zip(items, results, strict=True) if isinstance(pair[1], Exception)]
            decisions.append((delivery, await self._decide(delivery, len(items), failed) if failed else _ACK))
        return decisions

    async def _decide(self, delivery: Delivery, count: int, failed: Sequence[tuple[_Item, Any]]) -> Decision:
        if count == 1:
            return _decision(failed[0][1])
        apart = [OutgoingMessage(_alone(item), {"apart": True, **_spent_by(delivery)}) for item, _ in failed]
        await self._transport.publish(delivery.queue, apart)
        log.info("message_taken_apart", items=count, failed=len(failed))
        return Ack()


def _alone(item: _Item) -> bytes:
    """Return the object as a message of its own; one that cannot be read stays unchanged."""
    return item.data.text if isinstance(item.data, Unreadable) else exact_json.dumps(_named(item))


def _spent_by(delivery: Delivery) -> dict[str, Any]:
    """Return the header with the API key whose caps apply, which the gateway has set."""
    return {name: value for name, value in delivery.headers.items() if name == SPENDER_HEADER}


def _named(item: _Item) -> Any:
    """Return the object with the key of its position in the array, so that a redelivery of the array charges nothing twice."""
    if not isinstance(item.request, SettleRequest) or item.data.get("usage_key") is not None:
        return item.data
    return {**item.data, "usage_key": item.request.usage_key}


def _items(delivery: Delivery) -> list[_Item]:
    try:
        bodies = bodies_in(delivery.body)
    except FaregateError as error:
        return [_Item(None, error)]
    return [_Item(data, _request(delivery, data, number, len(bodies))) for number, data in enumerate(bodies)]


def _request(delivery: Delivery, data: Any, number: int, count: int) -> SettleRequest | FaregateError:
    if isinstance(data, Unreadable):
        return data.error
    try:
        body = validated(_KINDS[delivery.queue], data)
        spender = _spender(delivery)
    except FaregateError as error:
        return error
    if body.usage_key is not None:
        return body.request(body.usage_key, spender=spender)
    if delivery.message_id is not None:
        digest = sha256(delivery.message_id.encode()).hexdigest()[:32]
        return body.request(f"message:{digest}" + (f":{number}" if count > 1 else ""), spender=spender)
    if delivery.redelivered:
        return InvalidError("redelivered without usage_key and message_id: it may have been charged before")
    return body.request(str(new_uuid7()), keyless=True, spender=spender)


def _spender(delivery: Delivery) -> str | None:
    """Return the API key whose caps apply; with an invalid one the message is not settled, because the caps are unknown."""
    given = delivery.headers.get(SPENDER_HEADER)
    if given is None or (isinstance(given, str) and given.isprintable() and 0 < len(given) <= _SPENDER_LIMIT):
        return given
    raise InvalidError(f"header {SPENDER_HEADER} must be the id of an API key, a string", param=SPENDER_HEADER)


def _decision(error: Exception) -> Decision:
    if isinstance(error, FaregateError):
        reason = f"{error.code}: {error.public_detail}"
        return RetryLater(reason) if error.retryable else DeadLetter(reason)
    log.error("settlement_failed", exc_info=error)
    return DeadLetter(f"internal: {type(error).__name__}: {error}")
