"""Controller of `/api/v1/events`: usage events from clients of OpenMeter and Lago."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field
from starlette.responses import Response

from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MalformedError
from faregate.gateway.http.body import ITEMS_LIMIT, RawBody
from faregate.gateway.http.dialects import LAGO, OPENMETER, PROBLEM, lago_body, openmeter_body
from faregate.gateway.http.envelope import json_bytes_response
from faregate.gateway.http.operation import JSON, Call, Controller, operation
from faregate.gateway.security.auth import Scope
from faregate.usage.events.bodies import CLOUD_EVENT, CLOUD_EVENTS
from faregate.usage.events.reports import Rejected
from faregate.usage.foreign.cloud_events import binary_event, cloud_events_in, is_binary
from faregate.usage.foreign.lago import lago_event, lago_events_in
from faregate.usage.foreign.rules import ForeignEvent
from faregate.usage.foreign.service import ForeignIngest, ForeignReport
from faregate.wire import exact_json

__all__ = ["ForeignEventsController"]

_CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "event-1",
    "source": "/app",
    "type": "tokens",
    "subject": "user-1",
    "data": {"model": "gpt-4o", "prompt_tokens": 1200, "completion_tokens": 350},
}
_LAGO_EVENT: dict[str, Any] = {
    "transaction_id": "event-2",
    "external_subscription_id": "user-1",
    "code": "storage",
    "properties": {"quantity": 5},
}
_Single = Annotated[dict[str, Any], Field(examples=[_CLOUD_EVENT])]
_Several = Annotated[list[Any], Field(examples=[[_CLOUD_EVENT]])]
_Plain = Annotated[Any, Field(examples=[{"event": _LAGO_EVENT}])]
_Batch = Annotated[dict[str, Any], Field(examples=[{"events": [{**_LAGO_EVENT, "transaction_id": "event-3"}]}])]


class ForeignEventsController(Controller):
    """Usage events of OpenMeter's and Lago's clients over HTTP."""

    def __init__(self, ingest: ForeignIngest, clock: IClock) -> None:
        self._ingest = ingest
        self._clock = clock

    @operation(
        "POST",
        "/api/v1/events",
        tag="ingest",
        scope=Scope.USAGE_WRITE,
        answer=None,
        status=204,
        consumes={JSON: _Plain, CLOUD_EVENT: _Single, CLOUD_EVENTS: _Several},
        dialect=OPENMETER,
    )
    async def take_events(self, call: Call, body: RawBody) -> Response:
        """Record CloudEvents as OpenMeter takes them, or one event as Lago does.

        CloudEvents are structured, in a batch, or in binary mode (attributes in `ce-…` headers). The ingest rules say who the user
        is, and whether the event is recorded or charged. The same `(source, id)` counts once. Where an event is not accepted, the
        answer is 400 and lists each; those that it does not list are recorded.
        """
        headers = call.request.headers
        data = await body.items()
        if is_binary(headers):
            return _openmeter_answer(await self._take(call, [_binary(headers, data)]))
        if isinstance(data, Mapping) and ("event" in data or "events" in data):
            return await self._lago(call, cast("Mapping[str, Any]", data))
        events = cloud_events_in(data)
        if not 0 < len(events) <= ITEMS_LIMIT:
            raise MalformedError(f"a batch must have 1 to {ITEMS_LIMIT} events; send it in parts")
        return _openmeter_answer(await self._take(call, events))

    @operation(
        "POST",
        "/api/v1/events/batch",
        tag="ingest",
        scope=Scope.USAGE_WRITE,
        answer=None,
        status=200,
        consumes={JSON: _Batch},
        dialect=LAGO,
    )
    async def take_batch(self, call: Call, body: RawBody) -> Response:
        """Record up to 100 events as Lago takes them.

        A repeated `transaction_id` is no error, because it counts once. Where an event is not accepted, the answer is 422 and lists
        each by its index; the others are recorded.
        """
        data = await body.json()
        return await self._lago_batch(call, data)

    async def _lago(self, call: Call, data: Mapping[str, Any]) -> Response:
        if "events" in data:
            return await self._lago_batch(call, data)
        try:
            event = lago_event(data["event"])
        except InvalidError as error:
            return _lago_refusal([Rejected(0, error.detail)], alone=True)
        report = await self._take(call, [event])
        if report.rejected:
            return _lago_refusal(report.rejected, alone=True)
        return json_bytes_response(exact_json.dumps({"event": self._as_lago(event)}), 200)

    async def _lago_batch(self, call: Call, data: Any) -> Response:
        events = lago_events_in(data)
        report = await self._take(call, events)
        if report.rejected:
            return _lago_refusal(report.rejected, alone=False)
        taken = [self._as_lago(event) for event in events if isinstance(event, ForeignEvent)]
        return json_bytes_response(exact_json.dumps({"events": taken}), 200)

    def _as_lago(self, event: ForeignEvent) -> dict[str, Any]:
        """Return an event as Lago answers it; its `lago_id` follows from the `transaction_id`."""
        named = (
            "transaction_id",
            "code",
            "external_subscription_id",
            "external_customer_id",
            "timestamp",
            "properties",
        )
        return {
            "lago_id": str(uuid5(NAMESPACE_OID, event.id)),
            "lago_customer_id": None,
            "lago_subscription_id": None,
            **{name: event.fields.get(name) for name in named},
            "created_at": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def _take(self, call: Call, events: Sequence[ForeignEvent | InvalidError]) -> ForeignReport:
        return await self._ingest.take(events, spender=call.spender)


def _binary(headers: Mapping[str, str], data: Any) -> ForeignEvent | InvalidError:
    try:
        return binary_event(headers, data)
    except InvalidError as error:
        return error


def _openmeter_answer(report: ForeignReport) -> Response:
    """Return 204, or 400 with what was not accepted: this form has no answer for a part of a batch."""
    if not report.rejected:
        return Response(status_code=204)
    first = report.rejected[0]
    accepted = report.recorded + report.charged + report.duplicates + report.passed
    rejected = [{"index": item.index, "error": item.error} for item in report.rejected]
    detail = f"event {first.index}: {first.error}"
    return Response(openmeter_body(400, detail, accepted=accepted, rejected=rejected), 400, media_type=PROBLEM)


def _lago_refusal(rejected: Sequence[Rejected], *, alone: bool) -> Response:
    details: dict[str, object] = {str(item.index): {"base": [item.error]} for item in rejected}
    if alone:
        details = {"base": [rejected[0].error]}
    return json_bytes_response(lago_body(422, "validation_errors", details), 422)
