"""Lease for code without an event loop."""

from decimal import Decimal
from types import TracebackType
from typing import Self

from faregate.client.background_loop import BackgroundLoop
from faregate.client.leases.lease import Lease

__all__ = ["SyncLease"]


class SyncLease:
    """Sync counterpart of `Lease`: `with credits.lease(…) as lease`. `use` decides in the calling thread."""

    def __init__(self, background: BackgroundLoop, lease: Lease) -> None:
        self._background = background
        self._lease = lease

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def lease_id(self) -> str:
        """See `Lease.lease_id`."""
        return self._lease.lease_id

    @property
    def credits(self) -> Decimal:
        """See `Lease.credits`."""
        return self._lease.credits

    @property
    def unreported(self) -> int:
        """See `Lease.unreported`."""
        return self._lease.unreported

    def open(self) -> Self:
        """See `Lease.open`."""
        self._background.call(self._lease.open)
        return self

    def use(self, credits: Decimal | int = 1, *, key: str | None = None) -> str:
        """See `Lease.use`."""
        return self._lease.use(credits, key=key)

    def report(self) -> None:
        """See `Lease.report`."""
        self._background.call(self._lease.report)

    def renew(self) -> Decimal:
        """See `Lease.renew`."""
        return self._background.call(self._lease.renew)

    def close(self) -> None:
        """See `Lease.close`."""
        self._background.call(self._lease.close)
