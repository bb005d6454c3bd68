"""Service of feature logs: record, find, read and delete."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.audit import AuditLog, Deed
from faregate.core.clock import IClock
from faregate.core.db.ambient_transaction import outside_transaction
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.errors import FaregateError
from faregate.core.runtime.gc_tuning import gc_paused
from faregate.feature_log.errors import UnknownLogError
from faregate.feature_log.interfaces import IFeatureNames
from faregate.feature_log.preparing import PreparedLog, Preparer
from faregate.feature_log.repository import LogRepository
from faregate.feature_log.routes import Routes
from faregate.feature_log.sealing import Sealer
from faregate.feature_log.search_repository import LogSearch
from faregate.feature_log.values import (
    BODY_COLUMNS,
    FeatureLog,
    FeatureNames,
    LogEntry,
    LogFilter,
    LogPage,
    Recorded,
    Route,
)
from faregate.wire.ids import is_reserved

__all__ = ["FeatureLogService"]

_LOGS_PER_USE = 100


class FeatureLogService:
    """Records requests to features and their outcomes; used by the queue and by HTTP."""

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        clock: IClock,
        names: IFeatureNames,
        preparer: Preparer,
        partitions: Partitions,
        routes: Routes,
        repository: LogRepository,
        search: LogSearch,
        sealer: Sealer,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._clock = clock
        self._names = names
        self._preparer = preparer
        self._partitions = partitions
        self._routes = routes
        self._repository = repository
        self._search = search
        self._sealer = sealer
        self._audit = audit

    async def record(self, entries: Sequence[LogEntry]) -> Sequence[Recorded | FaregateError]:
        """Redact and store entries, in one transaction; return the result of each, in order.

        Safe to repeat: an entry with the same `id`, or within 24 hours the same content, is stored once.

        Raises:
            EngineUnavailableError: the database is unavailable; nothing was stored.
        """
        now = self._clock.now()
        names = await self._names.complete_names([(entry.feature.id, entry.feature.value) for entry in entries])
        pairs = zip(entries, names, strict=True)
        with gc_paused():
            prepared = [self._preparer.prepare(entry, FeatureNames(*name), now) for entry, name in pairs]
        prepared = await self._without_reserved(prepared)
        first: dict[UUID, PreparedLog] = {}
        for log in prepared:
            if isinstance(log, PreparedLog):
                first.setdefault(log.digest, log)
        owners = await self._store(list(first.values()), now)
        seen: set[UUID] = set()
        return [_recorded(log, owners, seen) for log in prepared]

    async def get(self, log_id: UUID) -> FeatureLog:
        """Return one log with its bodies, even if it is hidden.

        Raises:
            UnknownLogError: there is none. LogSealedError: it cannot be decrypted.
        """
        async with self._database.transaction(read_only=True) as session:
            row = await self._repository.one(session, log_id)
        if row is None:
            raise UnknownLogError(log_id)
        return self._log(row, with_bodies=True)

    async def find(
        self, wanted: LogFilter, *, before: tuple[datetime, UUID] | None = None, limit: int = 100
    ) -> LogPage:
        """Return logs without bodies, newest first; `before` continues after a page's `next`."""
        async with self._database.reading() as session:
            rows = await self._search.find(session, wanted, before=before, limit=limit + 1)
        logs = [self._log(row, with_bodies=False) for row in rows[:limit]]
        more = len(rows) > limit
        return LogPage(logs, (logs[-1].logged_at, logs[-1].id) if more else None)

    async def of_usage(self, usage_key: str, *, user_id: str) -> Sequence[FeatureLog]:
        """Return the logs of one use of a feature, newest first, at most 100, without bodies and e-mail.

        Only those of `user_id`, whose use it is: any user may name any usage key in a log of their own.
        """
        async with self._database.transaction(read_only=True) as session:
            rows = await self._search.find(
                session, LogFilter(usage_key=usage_key, user_id=user_id), before=None, limit=_LOGS_PER_USE
            )
        return [self._log(row, with_bodies=False, with_email=False) for row in rows]

    async def of_usages(self, uses: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[FeatureLog]]:
        """Return what `of_usage` returns for each of these uses (usage key, user), by usage key, in one statement."""
        async with self._database.transaction(read_only=True) as session:
            rows = await self._search.of_uses(session, uses, limit=_LOGS_PER_USE)
        found: dict[str, list[FeatureLog]] = {}
        for row in rows:
            found.setdefault(row.usage_key, []).append(self._log(row, with_bodies=False, with_email=False))
        return found

    async def hide(self, ids: Sequence[UUID], *, actor: str, noted: bool = False) -> Sequence[UUID]:
        """Delete softly: the logs are no longer found, and are removed with their month. Return the ids of those that existed.

        `noted`: the caller writes the audit entry.
        """
        if not ids:
            return []
        async with self._database.transaction() as session:
            who = await self._subjects.append_only_actor(session, actor)
            gone = await self._repository.soft_delete(session, ids, actor=who, now=self._clock.now())
            if not noted:
                await self._note(session, "feature_logs.hide", gone, actor)
        return gone

    async def delete(self, ids: Sequence[UUID], *, actor: str, noted: bool = False) -> Sequence[UUID]:
        """Delete permanently; return the ids of those that existed. The audit log keeps their ids and the actor (`noted`: as in
        `hide`).
        """
        if not ids:
            return []
        async with self._database.transaction() as session:
            gone = await self._repository.delete(session, ids)
            if not noted:
                await self._note(session, "feature_logs.delete", gone, actor)
        return gone

    async def _note(self, session: AsyncSession, action: str, ids: Sequence[UUID], actor: str) -> None:
        if ids:
            deed = Deed(actor, action, status=200, request_id="", target={"log_ids": list(ids)})
            await self._audit.add(session, deed)

    async def _without_reserved(self, logs: Sequence[PreparedLog | FaregateError]) -> list[PreparedLog | FaregateError]:
        """Return the logs, replacing each whose user may not be added by the reason."""
        users = {log.user_id for log in logs if isinstance(log, PreparedLog) and is_reserved(log.user_id)}
        if not users:
            return list(logs)
        refused = await self._database.run(lambda session: self._subjects.refused(session, users))
        return [refused.get(log.user_id, log) if isinstance(log, PreparedLog) else log for log in logs]

    async def _store(self, logs: Sequence[PreparedLog], now: datetime) -> Mapping[UUID, UUID]:
        if not logs:
            return {}
        await self._partitions.ensure({Month.of(moment) for moment in {log.logged_at for log in logs}})
        routes = await self._numbered({log.route for log in logs})
        return await self._database.run(lambda session: self._write(session, logs, routes, now))

    async def _numbered(self, routes: set[Route]) -> Mapping[Route, int]:
        """Return the numbers of all `routes`, even if another call clears the cache meanwhile."""
        known = self._routes.known(routes)
        missing = routes.difference(known)
        if missing:
            with outside_transaction():  # what is remembered must not depend on a transaction that may roll back
                found = await self._database.run(lambda session: self._routes.ensure(session, missing))
            self._routes.remember(found)
            known.update(found)
        return known

    async def _write(
        self, session: AsyncSession, logs: Sequence[PreparedLog], routes: Mapping[Route, int], now: datetime
    ) -> Mapping[UUID, UUID]:
        owners = await self._repository.claim(session, logs, now)
        new = [log for log in logs if owners[log.digest] == log.log_id]
        if new:
            subjects = await self._subjects.numbers(session, {log.user_id for log in new})
            await self._repository.add(
                session,
                [
                    (
                        log.logged_at,
                        log.log_id,
                        subjects[log.user_id],
                        routes[log.route],
                        *log.cells,
                    )
                    for log in new
                ],
            )
        return owners

    def _log(self, row: Any, *, with_bodies: bool, with_email: bool = True) -> FeatureLog:
        email = self._sealer.open("email", row.log_id, row.key_id, row.email) if with_email else None
        return FeatureLog(
            id=row.log_id,
            logged_at=row.logged_at,
            user_id=row.user_id,
            user_email=email.decode() if email is not None else None,
            feature=FeatureNames(row.feature_id, row.feature_key),
            usage_key=row.usage_key,
            method=row.method,
            code=row.code,
            status="failed" if row.failed else "success",
            endpoint=row.endpoint,
            type=row.type,
            duration_ms=row.duration_ms,
            deleted_at=row.deleted_at,
            deleted_by=row.deleted_by,
            bodies={name: self._body(row, name) for name in BODY_COLUMNS} if with_bodies else {},
        )

    def _body(self, row: Any, column: str) -> Any:
        text = self._sealer.open(column, row.log_id, row.key_id, cast("bytes | None", getattr(row, column)))
        return None if text is None else json.loads(text)


def _recorded(
    log: PreparedLog | FaregateError, owners: Mapping[UUID, UUID], seen: set[UUID]
) -> Recorded | FaregateError:
    if isinstance(log, FaregateError):
        return log
    owner = owners[log.digest]
    duplicate = owner != log.log_id or owner in seen
    seen.add(owner)
    return Recorded(owner, duplicate)
