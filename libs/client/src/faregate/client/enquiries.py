"""Calls outside the credits process: balance, quote, usage events, feedback."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from faregate.client.charge_request import ChargeRequest
from faregate.client.errors import FaregateError, InvalidError
from faregate.client.request_bodies import EVENTS_PATH, FEEDBACK_PATH, QUOTE_PATH, quote_body, wallet_path
from faregate.client.transport.call import HttpCall, IGateway
from faregate.client.values import (
    Balance,
    EventsResult,
    ModelUsage,
    Quote,
    RejectedEvent,
    read_balance,
    read_quote,
)
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["IReadableGateway", "give_feedback", "read_quote_of", "recorded_events", "wallet_balance"]

_EVENTS_AT_ONCE = 100
"""As many rejected events as one answer lists."""


class IReadableGateway(IGateway, Protocol):
    """A gateway that can also be read from."""

    async def get(self, path: str) -> Mapping[str, Any]:
        """Return the `data` of the answer to a GET."""
        ...


async def wallet_balance(gateway: IReadableGateway, owner_id: str) -> Balance:
    """Return the credits of a wallet; of an owner without one, what the first use would find."""
    try:
        return read_balance(await gateway.get(wallet_path(owner_id)))
    except FaregateError as error:
        initial = error.facts.get("initial_credits")
        if error.code != "unknown_wallet" or initial is None:
            raise
    return Balance(owner_id, Decimal(initial), Decimal(0), Decimal(initial), Decimal(0), plan=None, status="new")


async def read_quote_of(gateway: IGateway, request: ChargeRequest, usages: Sequence[ModelUsage]) -> Quote:
    """Return what a use would hold and cost now."""
    return read_quote(await gateway.post(HttpCall(QUOTE_PATH, quote_body(request, usages))))


async def give_feedback(gateway: IGateway, usage_key: str, score: int, tags: Sequence[str], text: str | None) -> None:
    """Send feedback on a use; it replaces what was said before, so that the call may be repeated."""
    body = {"usage_key": usage_key, "score": score, "tags": list(tags)} | ({"text": text} if text is not None else {})
    await gateway.post(HttpCall(FEEDBACK_PATH, body))


async def recorded_events(gateway: IGateway, events: Sequence[Mapping[str, Any]]) -> EventsResult:
    """Record usage events; each one without an id gets one, so that it counts once if the call is repeated."""
    named = [_named(event, number) for number, event in enumerate(events)]
    accepted = duplicates = 0
    rejected: list[RejectedEvent] = []
    for first in range(0, len(named), _EVENTS_AT_ONCE):
        data = await gateway.post(HttpCall(EVENTS_PATH, named[first : first + _EVENTS_AT_ONCE]))
        accepted += data["accepted"]
        duplicates += data["duplicates"]
        rejected += [RejectedEvent(first + item["index"], item["error"]) for item in data["rejected"]]
    return EventsResult(accepted, duplicates, tuple(rejected))


def _named(event: object, number: int) -> Mapping[str, Any]:
    """Return an event with an id."""
    if not isinstance(event, Mapping):
        raise InvalidError(
            f"events[{number}] must be a mapping, such as {{'user_id': 'ada', 'service': 'chat'}}", param="events"
        )
    fields = exact_json.mapping(event)
    return fields if fields.get("id") is not None else {**fields, "id": str(new_uuid7())}
