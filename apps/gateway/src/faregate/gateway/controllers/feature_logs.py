"""Controller of `/api/feature-usage-logs`: record, list, read and delete feature logs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from faregate.analytics.answers.story import Storyteller
from faregate.core.errors import FaregateError, InvalidError, MalformedError
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.core.privacy.key_ring import KeyRing
from faregate.core.redaction.records import IRedactor
from faregate.core.values.json_items import Unreadable
from faregate.feature_log.bodies import ITEMS_LIMIT, FeatureLogBody, entry_of, redacted_item
from faregate.feature_log.errors import LogSealedError, UnknownLogError
from faregate.feature_log.service import FeatureLogService
from faregate.feature_log.values import LogEntry, Recorded
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.operation import JSON, Audit, Call, Controller, Page, Refusal, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.feature_logs import (
    BulkBody,
    DeletedAnswer,
    LogAnswer,
    LogDetailAnswer,
    LoggedAnswer,
    LogQuery,
    LogsAnswer,
    detail_answer,
    log_answer,
    rejections,
)
from faregate.gateway.security.auth import Scope
from faregate.wire import exact_json
from faregate.wire.queues import FEATURE_LOG_QUEUE

__all__ = ["FeatureLogsController"]

_PATH = "/api/feature-usage-logs"


class FeatureLogsController(Controller):
    """Feature logs over HTTP."""

    def __init__(
        self,
        logs: FeatureLogService,
        transport: ITransport,
        redactor: IRedactor,
        stories: Storyteller,
        ring: KeyRing,
    ) -> None:
        self._ring = ring
        self._stories = stories
        self._logs = logs
        self._transport = transport
        self._redactor = redactor

    @operation(
        "POST",
        _PATH,
        scope=Scope.LOGS_WRITE,
        answer=LoggedAnswer | LogsAnswer,
        status=201,
        also={202: LogsAnswer},
        consumes={JSON: FeatureLogBody | list[FeatureLogBody | Any]},
        links={
            "read": link("feature-usage-logs.get_log", path={"log_id": "id"}),
            "hide": link("feature-usage-logs.hide_log", path={"log_id": "id"}),
            "delete": link("feature-usage-logs.delete_log", path={"log_id": "id"}),
        },
    )
    async def record(self, call: Call, body: RawBody) -> Reply:
        """Record one request to a feature, or an array of them.

        Secrets are removed before anything is stored. Items of an array are refused individually. A log with the same `id`,
        or with the same content within 24 hours, is stored once. With `Prefer: respond-async` the redacted body is put on
        the queue `feature_usage_queue` and the answer is 202.
        """
        content = await body.items(mend=True)
        items = _items(content)
        entries = [_entry(item, call, index) for index, item in enumerate(items)]
        if call.prefers_async:
            return await self._enqueue(items, entries)
        valid = [entry for entry in entries if isinstance(entry, LogEntry)]
        stored = iter(await self._logs.record(valid) if valid else ())
        outcomes = [next(stored) if isinstance(entry, LogEntry) else entry for entry in entries]
        return _one(outcomes[0]) if isinstance(content, dict) else _many(outcomes)

    @operation(
        "GET",
        _PATH,
        scope=Scope.LOGS_READ,
        answer=list[LogAnswer],
        links={"read": link("feature-usage-logs.get_log", path={"log_id": "0/id"})},
        audit=Audit.PERSONAL,
    )
    async def list_logs(self, query: LogQuery) -> Page:
        """List logs, newest first, without bodies."""
        position = position_of(query.cursor, datetime, UUID)
        before = (position[0], position[1]) if position else None
        page = await self._logs.find(query.filter(), before=before, limit=query.limit)
        return Page([log_answer(log) for log in page.logs], cursor_of(*page.next) if page.next else None)

    @operation(
        "GET",
        _PATH + "/{log_id}",
        scope=Scope.LOGS_READ,
        answer=LogDetailAnswer,
        errors=(UnknownLogError, LogSealedError),
        audit=Audit.PERSONAL,
    )
    async def get_log(self, log_id: UUID) -> LogDetailAnswer:
        """Return one log with its redacted bodies, the use behind it (hold, lines, transactions) and that use's events."""
        log = await self._logs.get(log_id)
        return detail_answer(log, *await self._stories.behind(log))

    @operation("DELETE", _PATH + "/{log_id}", scope=Scope.OPS_WRITE, answer=DeletedAnswer, errors=(UnknownLogError,))
    async def hide_log(self, call: Call, log_id: UUID) -> DeletedAnswer:
        """Hide one log: it is no longer listed, and is archived or deleted with its month."""
        return _deleted(await self._logs.hide([log_id], actor=call.principal.id, noted=True), log_id)

    @operation(
        "DELETE",
        _PATH + "/{log_id}/permanent",
        scope=Scope.OPS_WRITE,
        answer=DeletedAnswer,
        errors=(UnknownLogError,),
    )
    async def delete_log(self, call: Call, log_id: UUID) -> DeletedAnswer:
        """Remove one log permanently."""
        return _deleted(await self._logs.delete([log_id], actor=call.principal.id, noted=True), log_id)

    @operation("DELETE", _PATH + "/bulk", scope=Scope.OPS_WRITE, answer=DeletedAnswer)
    async def delete_many(self, call: Call, body: BulkBody) -> DeletedAnswer:
        """Hide many logs, or remove them permanently; the answer lists those that existed."""
        delete = self._logs.delete if body.permanent else self._logs.hide
        deleted = await delete(body.ids, actor=call.principal.id, noted=True)
        call.noted.update(log_ids=[str(log_id) for log_id in deleted], permanent=body.permanent)
        return DeletedAnswer(deleted=deleted)

    async def _enqueue(self, items: Sequence[Any], entries: Sequence[LogEntry | FaregateError]) -> Reply:
        bodies = [
            redacted_item(self._redactor, {**item, "id": entry.id}, valid=True)
            for item, entry in zip(items, entries, strict=True)
            if isinstance(entry, LogEntry)
        ]
        if bodies:
            body = self._ring.seal_message(FEATURE_LOG_QUEUE, exact_json.dumps(bodies))
            await self._transport.publish(FEATURE_LOG_QUEUE, [OutgoingMessage(body)])
        answer = LogsAnswer(accepted=len(bodies), duplicates=0, **rejections(entries))
        return Reply(answer, message="Accepted", status=202, headers={"preference-applied": "respond-async"})


def _items(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [content]
    if not isinstance(content, list):
        raise MalformedError("the body must be a JSON object or an array of objects")
    items = cast("list[Any]", content)
    if not 1 <= len(items) <= ITEMS_LIMIT:
        raise InvalidError(f"an array holds 1 to {ITEMS_LIMIT} items, not {len(items)}")
    return items


def _entry(item: Any, call: Call, index: int) -> LogEntry | FaregateError:
    """Return an item as an entry; without an id, it gets one derived from the call's `Idempotency-Key`."""
    if isinstance(item, Unreadable):
        return item.error
    try:
        entry = entry_of(item)
    except FaregateError as error:
        return error
    if entry.id is not None or call.derived_key is None:
        return entry
    return replace(entry, id=f"{call.derived_key}:{index}")


def _one(outcome: Recorded | FaregateError) -> Reply:
    if isinstance(outcome, FaregateError):
        raise outcome
    return Reply(LoggedAnswer(id=outcome.id, duplicate=outcome.duplicate), message="Logged")


def _many(outcomes: Sequence[Recorded | FaregateError]) -> Reply:
    stored = [outcome for outcome in outcomes if isinstance(outcome, Recorded)]
    answer = LogsAnswer(
        accepted=len(stored),
        duplicates=sum(outcome.duplicate for outcome in stored),
        **rejections(outcomes),
        ids=[outcome.id for outcome in stored],
    )
    if not stored:
        raise Refusal(InvalidError("No item could be stored; `rejected` says why for each"), answer.model_dump())
    return Reply(answer, message="Logged")


def _deleted(ids: Sequence[UUID], wanted: UUID) -> DeletedAnswer:
    if not ids:
        raise UnknownLogError(wanted)
    return DeletedAnswer(deleted=ids)
