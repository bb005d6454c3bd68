"""Controller of `/api/usage-events`: record, look up and correct usage events."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from faregate.core.errors import InvalidError
from faregate.gateway.http.body import ITEMS_LIMIT, RawBody
from faregate.gateway.http.operation import JSON, Audit, Call, Controller, link, operation
from faregate.gateway.schemas.usage_events import (
    CorrectionBody,
    FateAnswer,
    FateQuery,
    IngestAnswer,
    fate_answer,
    ingest_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import AlreadyCorrectedError, UnknownEventError
from faregate.usage.events.bodies import CLOUD_EVENT, CLOUD_EVENTS, NDJSON, events_in_lines, events_of
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.history import EventHistory
from faregate.usage.events.recorder import EventLike, UsageRecorder

__all__ = ["UsageEventsController"]

_CLOUD = dict[str, object]
_LINE = Annotated[Any, Field(examples=[{"id": "1", "source": "/app", "user_id": "ada", "service": "chat"}])]
"""Each line is validated on its own: a line that is not an event is rejected with its number, and the other lines count."""

_CLOUD_EVENTS = Annotated[
    list[Any],
    Field(
        examples=[[{"specversion": "1.0", "id": "1", "source": "/app", "type": "chat", "subject": "ada", "data": {}}]]
    ),
]
_FORMS = {CLOUD_EVENT: (dict, "an object"), CLOUD_EVENTS: (list, "an array")}
_EVENT = {"source": "$request.body#/source", "id": "$request.body#/id"}
_BODY_LIMIT_BYTES = 64 * 1024 * 1024


class UsageEventsController(Controller):
    """Recording, lookup and correction of usage events over HTTP."""

    def __init__(self, recorder: UsageRecorder, history: EventHistory) -> None:
        self._recorder = recorder
        self._history = history

    @operation(
        "POST",
        "/api/usage-events",
        scope=Scope.USAGE_WRITE,
        answer=IngestAnswer,
        status=202,
        consumes={
            JSON: UsageEvent | list[UsageEvent | Any] | Any,
            NDJSON: _LINE,
            CLOUD_EVENT: _CLOUD,
            CLOUD_EVENTS: _CLOUD_EVENTS,
        },
        body_limit_bytes=_BODY_LIMIT_BYTES,
        idempotent=True,
        links={
            "fate": link("usage-events.fate", query=_EVENT),
            "correct": link("usage-events.correct", body=_EVENT),
        },
    )
    async def record_events(self, call: Call, body: RawBody) -> IngestAnswer:
        """Record one event, an array, lines of JSON or CloudEvents.

        The same `(source, id)` never counts twice; an invalid item does not affect the other items. Events without an id get
        one from the `Idempotency-Key` and their position in the body. For lines of JSON, which may be many, no answer is
        stored: resent with the same key, they are duplicates.
        """
        if body.is_stream:
            lines = _named_chunks(events_in_lines(body.chunks()), call.derived_key)
            return ingest_answer(await self._recorder.record_stream(lines))
        found = await body.items()
        if body.media_type in _FORMS and not isinstance(found, _FORMS[body.media_type][0]):
            raise InvalidError(f"{body.media_type} must be {_FORMS[body.media_type][1]}")
        items = events_of(found, cloud_events=body.media_type in _FORMS)
        if len(items) > ITEMS_LIMIT:
            raise InvalidError(f"an array of more than {ITEMS_LIMIT} items; send it in parts, or as {NDJSON}")
        return ingest_answer(await self._recorder.record(_named(items, call.derived_key)))

    @operation("GET", "/api/usage-events/fate", scope=Scope.USAGE_READ, answer=FateAnswer, errors=(UnknownEventError,))
    async def fate(self, query: FateQuery) -> FateAnswer:
        """Return the status of an event: counted and where, corrected, or rejected and why."""
        return fate_answer(await self._history.fate(query.source, query.id))

    @operation(
        "POST",
        "/api/usage-events/corrections",
        scope=Scope.USAGE_WRITE,
        answer=FateAnswer,
        errors=(UnknownEventError, AlreadyCorrectedError),
        links={"fate": link("usage-events.fate", query=_EVENT)},
        audit=Audit.DEED,
    )
    async def correct(self, call: Call, body: CorrectionBody) -> FateAnswer:
        """Void an event, or replace it with another; repeating the same correction changes nothing."""
        call.noted.update(source=body.source, id=body.id, correction=body.action)
        told = {"reason": body.reason, "actor": call.principal.id}
        if body.event is None:
            return fate_answer(await self._history.void(body.source, body.id, **told))
        return fate_answer(await self._history.replace(body.source, body.id, body.event, **told))


def _named(items: Sequence[EventLike], key: str | None, offset: int = 0) -> Sequence[EventLike]:
    """Give each event without an id one from its position in the body; the first of `items` is at `offset`."""
    if key is None:
        return items
    return [
        {**item, "id": f"{key}:{place}"} if isinstance(item, Mapping) and item.get("id") is None else item
        for place, item in enumerate(items, offset)
    ]


async def _named_chunks(
    chunks: AsyncIterator[Sequence[EventLike]], key: str | None
) -> AsyncIterator[Sequence[EventLike]]:
    offset = 0
    async for chunk in chunks:
        yield _named(chunk, key, offset)
        offset += len(chunk)
