"""Open use: a hold that an adapter took, and how it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_session import ChargeSession, current_charge_session, restore_session
from faregate.client.errors import UnreadableReplyError
from faregate.client.sync_charge_handle import SyncChargeHandle
from faregate.integrations.receipts import receipt_of, refused_receipt
from faregate.wire.errors import FaregateError, InvalidError

__all__ = ["OpenUse", "observe_in"]

T = TypeVar("T")
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

    async def around(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` as the block of this use, so that wrapped clients and adapters within it report to it.

        If it raises, what was observed is settled, or the hold is voided. If it returns, `finish` has still to be called.
        """
        token = current_charge_session.set(self.session)
        try:
            return await work()
        except BaseException as failure:
            await self.finish(failure)
            raise
        finally:
            restore_session(token)

    async def finish(self, failure: BaseException | None = None) -> dict[str, str | None]:
        """Settle what was observed, or void; return the receipt.

        A settlement that is refused is logged and raises nothing: the framework has a reply that the provider was paid for. The
        receipt then says "refused".
        """
        handle = self._handle
        with suppress(FaregateError):  # logged by the handle
            if isinstance(handle, ChargeHandle):
                await handle.finish(failure)
            else:
                await asyncio.to_thread(handle.finish, failure)
        return self._receipt()

    def finish_now(self, failure: BaseException | None = None) -> dict[str, str | None]:
        """Settle what was observed, or void, without an event loop; see `finish`."""
        handle = self._handle
        if isinstance(handle, ChargeHandle):
            raise InvalidError("a use of an async class ends by `await finish()`", param="credits")
        with suppress(FaregateError):
            handle.finish(failure)
        return self._receipt()

    def abandon(self) -> None:
        """Finish from any thread without waiting: the framework will not report the end of this call."""
        self._handle.abandon()

    def _receipt(self) -> dict[str, str | None]:
        try:
            return receipt_of(self.session.result)
        except InvalidError:  # it has none: the settlement was refused
            return refused_receipt(self.session.usage_key)


def observe_in(session: ChargeSession, reply: Any, *, model: str | None = None) -> None:
    """Record the usage of a reply in a session; one without usage becomes an unpriced line, which the log names."""
    try:
        session.observe(reply, model=model)
    except UnreadableReplyError as error:
        log.warning("%s of %s: %s", session.feature, session.user_id, error)
        session.watcher(model).end_without_usage(model or "unknown")
