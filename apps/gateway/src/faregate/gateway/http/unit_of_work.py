"""Unit of work: one transaction for each call.

It commits the change, the answer stored for the `Idempotency-Key` and the audit entry, or none of them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from faregate.core.access.audit import AuditLog, Deed
from faregate.core.access.idempotency import IdempotencyStore, StoredAnswer
from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError, InvalidError, MalformedError
from faregate.core.redaction.scrubbing import is_credential
from faregate.gateway.http.auditing import Auditor
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.envelope import json_bytes_response
from faregate.gateway.http.operation import DRY_RUN_HEADER, Call, Operation
from faregate.gateway.http.visits import Visits
from faregate.wire import exact_json

__all__ = ["UnitOfWork"]

Answer = Callable[[], Awaitable[Response]]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ATTEMPTS = 3


class _RehearsedError(Exception):
    """Rolls a dry run back, and carries its answer out of the transaction."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _TakenError(Exception):
    """A concurrent call with the same key committed first."""


class UnitOfWork:
    """Runs controllers' methods, in a transaction that also holds the stored answer and the audit entry if there are any."""

    def __init__(self, database: Database, store: IdempotencyStore, audit: AuditLog) -> None:
        self._database = database
        self._store = store
        self._audit = audit
        self._visits = Visits()

    async def run(
        self, operation: Operation, call: Call, arguments: Mapping[str, Any], answer: Answer, auditor: Auditor
    ) -> Response:
        """Return what `answer` returns, or the stored answer to an earlier call with the same `Idempotency-Key`.

        Raises:
            KeyConflictError: the key was used with a different request before.
        """
        if call.request.headers.get(DRY_RUN_HEADER) is not None:
            return await self._rehearsed(operation, call, answer, auditor)
        body = arguments.get("body")
        streamed = isinstance(body, RawBody) and body.is_stream
        key = _checked(call.idempotency_key) if operation.idempotent and call.idempotency_key is not None else None
        if key is None or streamed:
            return await self._once(call, answer, auditor, None)
        credential = sha256(call.principal.id.encode()).hexdigest()[:32]
        request_hash = await _request_hash(operation, call, body)
        for _ in range(_ATTEMPTS):
            stored = await self._store.find(credential, key, request_hash)
            if stored is not None:
                return json_bytes_response(stored.body, stored.status, {"idempotency-replayed": "true"})

            async def keep(session: AsyncSession, response: Response) -> None:
                kept = StoredAnswer(request_hash, response.status_code, auditor.without_secrets(response))
                if not await self._store.keep(session, credential, key, kept):
                    raise _TakenError

            try:
                return await self._once(call, answer, auditor, keep)
            except _TakenError:
                continue
        raise EngineUnavailableError("concurrent calls use the same Idempotency-Key; try again")

    async def _record_read(self, call: Call, deed: Deed) -> None:
        if not self._visits.is_repeated(call.principal.session, deed.action, deed.owner_id):
            await self._database.run(lambda session: self._audit.add(session, deed))

    async def _rehearsed(self, operation: Operation, call: Call, answer: Answer, auditor: Auditor) -> Response:
        """Return the answer that the call would have, without its secrets, and change nothing: its transaction is rolled back.

        Raises:
            InvalidError: the call has no dry run.
        """
        if not operation.rehearsable or call.request.headers[DRY_RUN_HEADER] != "true":
            raise InvalidError(
                f"{DRY_RUN_HEADER} must be true, and only calls that say so have a dry run; leave it out",
                param=DRY_RUN_HEADER,
            )

        async def rehearse(_session: AsyncSession) -> None:
            raise _RehearsedError(await answer())

        try:
            await self._database.run_joined(rehearse)
        except _RehearsedError as end:
            shown = end.response
            if operation.shown_once and shown.status_code < 400:
                shown = json_bytes_response(auditor.without_secrets(shown), shown.status_code, {})
            shown.headers[DRY_RUN_HEADER] = "true"
            return shown
        raise AssertionError("unreachable")

    async def _once(
        self,
        call: Call,
        answer: Answer,
        auditor: Auditor,
        keep: Callable[[AsyncSession, Response], Awaitable[None]] | None,
    ) -> Response:
        if keep is None and not auditor.writes:
            response = await answer()
            if auditor.reads and response.status_code < 400:
                await self._record_read(call, auditor.deed(call, response))
            return response

        async def together(session: AsyncSession) -> Response:
            if auditor.writes:
                await auditor.read_before()
            response = await answer()
            if keep is not None and response.status_code < 400:
                await keep(session, response)
            if auditor.writes and response.status_code < 400:
                await self._audit.add(session, auditor.deed(call, response))
            return response

        return await self._database.run_joined(together)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidError(
            "Idempotency-Key must be 1 to 255 visible ASCII characters; use a UUID", param="Idempotency-Key"
        )
    if is_credential(key):
        raise InvalidError("Idempotency-Key looks like a credential; send a UUID", param="Idempotency-Key")
    return key


async def _request_hash(operation: Operation, call: Call, body: Any) -> bytes:
    """Hash the request: the method, the path, the query and the body, regardless of the order of the body's fields."""
    plain = await _raw(body) if isinstance(body, RawBody) else _plain(body)
    asked = [operation.method, call.request.url.path, str(call.request.url.query), plain]
    return sha256(exact_json.dumps(asked)).digest()


async def _raw(body: RawBody) -> Any:
    try:
        return _ordered(await body.json())
    except MalformedError:  # an array item that is not valid JSON can only be compared by its bytes
        return sha256(await body.bytes()).hexdigest()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _ordered(fields[name]) for name in sorted(fields)}
    return [_ordered(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return [_plain(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
