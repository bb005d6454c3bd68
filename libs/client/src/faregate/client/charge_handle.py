"""Charge handle: opens a charge session and settles or voids it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Token
from threading import Lock
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

from faregate.client.charge_request import ChargeRequest
from faregate.client.charge_session import (
    ChargeSession,
    ClosingDecision,
    current_charge_session,
    restore_session,
)
from faregate.client.errors import FaregateError, InvalidError
from faregate.client.transport.per_loop import cancel_anywhere
from faregate.client.values import Authorization, ModelUsage, UseResult, voided

__all__ = ["ChargeHandle", "ICreditsApi"]

T = TypeVar("T")
log = logging.getLogger("faregate.client")


class ICreditsApi(Protocol):
    """The calls of the credits process that a charge needs."""

    async def authorize(self, request: ChargeRequest) -> Authorization: ...

    async def settle(
        self, session: ChargeSession, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> UseResult: ...

    async def void(self, session: ChargeSession, reason: str) -> UseResult: ...

    async def extend_until_cancelled(self, session: ChargeSession) -> None: ...

    def settle_by_spool(
        self, session: ChargeSession, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> UseResult: ...

    def track(self, charge: "ChargeHandle") -> None: ...

    def untrack(self, charge: "ChargeHandle") -> None: ...


class ChargeHandle:
    """`async with credits.use(…) as use:` authorises on entry; on exit it settles the observed usage, or voids.

    * The block ends normally: the observed usage is settled; without any, a fixed price is settled.
    * The block raises: without observed usage the hold is voided; otherwise the usage until then is settled.
    * The task is cancelled: the same, and the settlement itself is shielded from the cancellation.
    * The gateway cannot be reached: the settlement goes to the broker or the local spool and is sent later.
    """

    def __init__(self, api: ICreditsApi, request: ChargeRequest) -> None:
        self._api = api
        self._request = request
        self._session: ChargeSession | None = None
        self._token: Token[ChargeSession | None] | None = None
        self._extension: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = Lock()
        self._finished = False

    def __enter__(self) -> NoReturn:
        raise InvalidError(
            "the async classes charge by `async with`; in code without an event loop use the sync ones and `with`"
        )

    def __exit__(self, *failure: object) -> None:
        """Never reached."""

    async def __aenter__(self) -> ChargeSession:
        session = await self.open()
        session.bounded = True
        self._token = current_charge_session.set(session)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            restore_session(self._token)
        await self.finish(failure)

    async def open(self) -> ChargeSession:
        """Authorise; the caller must call `finish` afterwards."""
        authorization = await self._api.authorize(self._request)
        self._session = ChargeSession(self._request, authorization)
        self._loop = asyncio.get_running_loop()
        self._api.track(self)
        if authorization.expires_at is not None:
            self._extension = asyncio.create_task(self._api.extend_until_cancelled(self._session))
        return self._session

    @property
    def bounded(self) -> bool:
        """Whether a block of code ends the session."""
        return self._session is not None and self._session.bounded

    def release(self) -> None:
        """Stop extending the hold."""
        extension, self._extension = self._extension, None
        cancel_anywhere(extension)

    async def finish(self, failure: BaseException | None = None) -> None:
        """Settle or void, once.

        If that fails while the block itself failed, the block's failure gets a note and nothing is raised here.

        Raises:
            FaregateError: the settlement failed and the block did not.
        """
        session = self._session
        if session is None or not self._first_end():
            return
        self.release()
        try:
            session.ended_with(await _run_shielded(lambda: self._close(session, session.end(failure))))
        except FaregateError as error:
            log.error("%s of %s was not settled: %s", session.usage_key, session.user_id, error)  # noqa: TRY400  one line
            if failure is None:
                raise
            failure.add_note(f"and the charge session {session.usage_key} was not settled: {error}")

    def abandon(self) -> None:
        """Finish from any thread without waiting: on the event loop if it still runs, else by the spool."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self.finish_by_spool()
            return
        try:
            loop.call_soon_threadsafe(self._finish_soon)
        except RuntimeError:  # closed meanwhile
            self.finish_by_spool()

    def finish_by_spool(self) -> None:
        """Finish by writing the settlement to the spool; works from any thread and without an event loop.

        The hold of a session that was voided expires.
        """
        session = self._session
        if session is None or not self._first_end():
            return
        decision = session.end(None)
        if decision.void_reason is not None:
            session.ended_with(voided(session.user_id, session.usage_key))
            return
        session.ended_with(self._api.settle_by_spool(session, decision.usages, decision.metadata, decision.duration_ms))

    def _finish_soon(self) -> None:
        _keep_until_done(asyncio.ensure_future(self._finish_quietly()))

    async def _finish_quietly(self) -> None:
        with suppress(FaregateError):  # logged
            await self.finish()

    def _first_end(self) -> bool:
        with self._lock:
            first, self._finished = not self._finished, True
        if first:
            self._api.untrack(self)
        return first

    async def _close(self, session: ChargeSession, decision: ClosingDecision) -> UseResult:
        if decision.void_reason is not None:
            return await self._api.void(session, decision.void_reason)
        result = await self._api.settle(session, decision.usages, decision.metadata, decision.duration_ms)
        if not decision.usages and result.consumed == 0 and session.authorization.hold > 0:
            log.warning(
                "%s of %s is free, though %s credits were held for %s: nothing was observed; call observe() with each reply",
                *(session.usage_key, session.user_id, session.authorization.hold, session.authorization.feature),
            )
        return result


_TASKS: set[asyncio.Task[Any]] = set()
"""Tasks that run to their end: an event loop itself keeps only weak references to them."""


def _keep_until_done(task: asyncio.Task[Any]) -> None:
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


async def _run_shielded(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` to its end even if this task is cancelled meanwhile; then the cancellation continues."""

    async def whole() -> T:
        return await work()

    task = asyncio.create_task(whole())
    _keep_until_done(task)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            log.warning("a settlement failed while its task was cancelled: %r", task.exception())
        raise
