"""Charge handle for code without an event loop."""

import os
from contextvars import Token
from types import TracebackType
from typing import NoReturn

from faregate.client.background_loop import BackgroundLoop
from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_session import ChargeSession, current_charge_session, restore_session
from faregate.wire.errors import InvalidError

__all__ = ["SyncChargeHandle"]


class SyncChargeHandle:
    """Sync counterpart of `ChargeHandle`: `with credits.use(…) as use:`."""

    def __init__(self, background: BackgroundLoop, charge: ChargeHandle) -> None:
        self._background = background
        self._charge = charge
        self._token: Token[ChargeSession | None] | None = None
        self._process = os.getpid()

    def __enter__(self) -> ChargeSession:
        session = self.open()
        session.bounded = True
        self._token = current_charge_session.set(session)
        return session

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            restore_session(self._token)
        self.finish(failure)

    async def __aenter__(self) -> NoReturn:
        raise InvalidError(
            "the sync classes charge by `with`; in code with an event loop use the async ones and `async with`"
        )

    async def __aexit__(self, *failure: object) -> None:
        """Never reached."""

    def open(self) -> ChargeSession:
        """Authorise; the caller must call `finish` afterwards."""
        self._process = os.getpid()
        session = self._background.call(self._charge.open)
        session.blocking = True
        return session

    def finish(self, failure: BaseException | None = None) -> None:
        """Settle or void.

        On the loop's own thread, where a garbage-collected stream may end, this returns without waiting. In a child of the
        process that opened it, it does nothing: the parent settles.
        """
        if self._process != os.getpid():
            return
        if self._background.is_current:
            self.abandon()
        elif not self._background.started_here:
            self._charge.finish_by_spool()
        else:
            self._background.call(lambda: self._charge.finish(failure))

    def abandon(self) -> None:
        """See `ChargeHandle.abandon`."""
        if self._process == os.getpid():
            self._charge.abandon()
