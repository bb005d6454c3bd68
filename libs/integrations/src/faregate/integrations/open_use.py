"""Open use: a hold that an adapter took, and how it ends."""

import asyncio
import logging
from typing import Any

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_session import ChargeSession
from faregate.client.errors import UnreadableReplyError
from faregate.client.sync_charge_handle import SyncChargeHandle
from faregate.integrations.receipts import receipt_of

__all__ = ["OpenUse", "observe_in"]

log = logging.getLogger("faregate.integrations")


class OpenUse:
    """A use that is held until the framework reports the end of the call.

    Attributes:
        session: the charge session; what it observes is settled at the end.
    """

    def __init__(self, handle: ChargeHandle | SyncChargeHandle, session: ChargeSession) -> None:
        self._handle = handle
        self.session = session

    def observe(self, reply: Any, *, model: str | None = None) -> None:
        """Record the usage of a reply; one without usage becomes an unpriced line, which the log names."""
        observe_in(self.session, reply, model=model)

    async def finish(self, failure: BaseException | None = None) -> dict[str, str | None]:
        """Settle what was observed, or void; return the receipt.

        Raises:
            FaregateError: the settlement was refused and the call itself did not fail.
        """
        handle = self._handle
        if isinstance(handle, ChargeHandle):
            await handle.finish(failure)
        else:
            await asyncio.to_thread(handle.finish, failure)
        return receipt_of(self.session.result)

    def finish_now(self, failure: BaseException | None = None) -> dict[str, str | None]:
        """Settle what was observed, or void, without an event loop; see `finish`."""
        if isinstance(self._handle, ChargeHandle):
            self._handle.abandon()
            return {}
        self._handle.finish(failure)
        return receipt_of(self.session.result)

    def abandon(self) -> None:
        """Finish from any thread without waiting: the framework will not report the end of this call."""
        self._handle.abandon()


def observe_in(session: ChargeSession, reply: Any, *, model: str | None = None) -> None:
    """Record the usage of a reply in a session; one without usage becomes an unpriced line, which the log names."""
    try:
        session.observe(reply, model=model)
    except UnreadableReplyError as error:
        log.warning("%s of %s: %s", session.feature, session.user_id, error)
        session.watcher(model).end_without_usage(model or "unknown")
