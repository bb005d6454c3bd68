"""Client and feature logger for code without an event loop.

They have the names, arguments and results of the async classes. Each object runs its async counterpart on an event loop
in a background thread, so that extending holds, sending the spool and sending logs continue while the host is busy. An
object may be used from several threads at once.
"""

import atexit
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import httpx2

from faregate.client.background_loop import BackgroundLoop
from faregate.client.charge_request import Estimate
from faregate.client.client import CreditsClient
from faregate.client.credits_api import SettleVia
from faregate.client.feature_logger import FeatureLogger
from faregate.client.leases.sync_lease import SyncLease
from faregate.client.sync_charge_handle import SyncChargeHandle
from faregate.client.transport.outage import CLOSED, Outage
from faregate.client.transport.retrying import Retry
from faregate.client.values import Authorization, Balance, EventsResult, FeatureUsage, ModelUsage, Quote, UseResult
from faregate.client.wrapping.wrap import Unmetered, user_of, wrap_sdk

__all__ = ["SyncCreditsClient", "SyncFeatureLogger"]

C = TypeVar("C")
T = TypeVar("T")
AsyncClientT = TypeVar("AsyncClientT", bound="_Closable")


class _Closable(Protocol):
    async def aclose(self, *, patience_seconds: float) -> None: ...


class _SyncFacade(Generic[AsyncClientT]):
    """Creates the async object on its event loop at the first call, and again in a forked process."""

    def __init__(self, make: Callable[[], AsyncClientT]) -> None:
        self._make: Callable[[], AsyncClientT] = make
        self._background = BackgroundLoop()
        self._client_or_none: AsyncClientT | None = None
        self._process = 0
        atexit.register(self._at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, *, patience_seconds: float = 5) -> None:
        """Send waiting entries for at most about `patience_seconds`, then close.

        A process that exits without this call writes the waiting entries to the spool and sends nothing.
        """
        atexit.unregister(self._at_exit)
        client = self._client_or_none
        if client is not None and self._background.started_here:
            self._background.call(lambda: client.aclose(patience_seconds=patience_seconds))
        self._client_or_none = None
        self._background.close()

    def _at_exit(self) -> None:
        self.close(patience_seconds=0)

    def _call(self, work: "Callable[[AsyncClientT], Coroutine[Any, Any, T]]") -> T:
        client = self._client
        return self._background.call(lambda: work(client))

    @property
    def _client(self) -> AsyncClientT:
        if self._client_or_none is None or self._process != os.getpid():
            self._process = os.getpid()
            self._client_or_none = self._background.call_soon(self._make)
        return self._client_or_none


class SyncCreditsClient(_SyncFacade[CreditsClient]):
    """Sync counterpart of `CreditsClient`, with the same arguments and methods."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        broker_url: str | None = None,
        spool_dir: Path | None = None,
        outage: Mapping[str, Outage] | None = None,
        default_outage: Outage = CLOSED,
        settle_via: SettleVia | None = None,
        timeout_seconds: float = 10,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(
            lambda: CreditsClient(
                base_url,
                api_key,
                broker_url=broker_url,
                spool_dir=spool_dir,
                outage=outage,
                default_outage=default_outage,
                settle_via=settle_via,
                timeout_seconds=timeout_seconds,
                retry=retry,
                transport=transport,
            )
        )

    def authorize(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str | None = None,
        estimate: Estimate = None,
        organization_id: str | None = None,
        user_email: str | None = None,
        ttl_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Authorization:
        """See `CreditsClient.authorize`."""
        return self._call(
            lambda client: client.authorize(
                feature,
                user_id=user_id,
                usage_key=usage_key,
                estimate=estimate,
                organization_id=organization_id,
                user_email=user_email,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            )
        )

    def settle_via_api(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str,
        usages: Sequence[ModelUsage] = (),
        organization_id: str | None = None,
        duration_ms: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> UseResult:
        """See `CreditsClient.settle_via_api`."""
        return self._call(
            lambda client: client.settle_via_api(
                feature,
                user_id=user_id,
                usage_key=usage_key,
                usages=usages,
                organization_id=organization_id,
                duration_ms=duration_ms,
                metadata=metadata,
            )
        )

    def settle_via_queue(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str,
        usages: Sequence[ModelUsage] = (),
        organization_id: str | None = None,
        duration_ms: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> UseResult:
        """See `CreditsClient.settle_via_queue`."""
        return self._call(
            lambda client: client.settle_via_queue(
                feature,
                user_id=user_id,
                usage_key=usage_key,
                usages=usages,
                organization_id=organization_id,
                duration_ms=duration_ms,
                metadata=metadata,
            )
        )

    def void(self, usage_key: str, *, user_id: str, reason: str | None = None) -> UseResult:
        """See `CreditsClient.void`."""
        return self._call(lambda client: client.void(usage_key, user_id=user_id, reason=reason))

    def extend(self, usage_key: str, *, user_id: str, ttl_seconds: int) -> datetime:
        """See `CreditsClient.extend`."""
        return self._call(lambda client: client.extend(usage_key, user_id=user_id, ttl_seconds=ttl_seconds))

    def record_usage(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        organization_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> FeatureUsage:
        """See `CreditsClient.record_usage`."""
        return self._call(
            lambda client: client.record_usage(
                feature,
                user_id=user_id,
                usage_key=usage_key,
                usages=usages,
                organization_id=organization_id,
                metadata=metadata,
            )
        )

    def balance(self, user: str) -> Balance:
        """See `CreditsClient.balance`."""
        return self._call(lambda client: client.balance(user))

    def quote(
        self,
        feature: str,
        user: str,
        *,
        usages: Sequence[ModelUsage] = (),
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Quote:
        """See `CreditsClient.quote`."""
        return self._call(
            lambda client: client.quote(
                feature, user, usages=usages, estimate=estimate, organization=organization, metadata=metadata
            )
        )

    def record_events(self, events: Sequence[Mapping[str, Any]]) -> EventsResult:
        """See `CreditsClient.record_events`."""
        return self._call(lambda client: client.record_events(events))

    def feedback(self, usage_key: str, score: int, *, tags: Sequence[str] = (), text: str | None = None) -> None:
        """See `CreditsClient.feedback`."""
        self._call(lambda client: client.feedback(usage_key, score, tags=tags, text=text))

    def use(
        self,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        estimate: Estimate = None,
        organization: str | None = None,
        email: str | None = None,
        ttl_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> SyncChargeHandle:
        """See `CreditsClient.use`: `with credits.use("ai_chat_v1", "ada") as use:`."""
        return self.charge(
            feature,
            user_id=user,
            usage_key=key,
            estimate=estimate,
            organization_id=organization,
            user_email=email,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
        )

    def lease(
        self,
        feature: str,
        *,
        user: str,
        credits: Decimal | int,
        ttl_seconds: int = 60,
        report_seconds: float = 0.5,
        fsync: bool = False,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> SyncLease:
        """See `CreditsClient.lease`: `with credits.lease("search", user="ada", credits=100) as lease:`."""
        return SyncLease(
            self._background,
            self._client.lease(
                feature,
                user=user,
                credits=credits,
                ttl_seconds=ttl_seconds,
                report_seconds=report_seconds,
                fsync=fsync,
                organization=organization,
                metadata=metadata,
            ),
        )

    def charge(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str | None = None,
        estimate: Estimate = None,
        organization_id: str | None = None,
        user_email: str | None = None,
        ttl_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> SyncChargeHandle:
        """See `CreditsClient.charge`."""
        return SyncChargeHandle(
            self._background,
            self._client.charge(
                feature,
                user_id=user_id,
                usage_key=usage_key,
                estimate=estimate,
                organization_id=organization_id,
                user_email=user_email,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            ),
        )

    def wrap(
        self,
        client: C,
        feature: str,
        *,
        user_id: str | Callable[[Mapping[str, Any]], str] = user_of,
        unmetered: Unmetered = "warn",
        usage_key: str | None = None,
        estimate: Estimate = None,
        organization_id: str | None = None,
        user_email: str | None = None,
        ttl_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> C:
        """See `CreditsClient.wrap`; `client` is a sync client of an SDK."""

        def charger(body: Mapping[str, Any]) -> SyncChargeHandle:
            payer = user_id if isinstance(user_id, str) else user_id(body)
            return self.charge(
                feature,
                user_id=payer,
                usage_key=usage_key,
                estimate=estimate,
                organization_id=organization_id,
                user_email=user_email,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            )

        return wrap_sdk(client, charger, unmetered=unmetered, asynchronous=False)

    def drain(self) -> bool:
        """See `CreditsClient.drain`."""
        return self._call(lambda client: client.drain())

    def debt(self, feature: str) -> Decimal:
        """See `CreditsClient.debt`."""
        return self._client.debt(feature)


class SyncFeatureLogger(_SyncFacade[FeatureLogger]):
    """Sync counterpart of `FeatureLogger`, with the same arguments and methods."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        broker_url: str | None = None,
        spool_dir: Path | None = None,
        buffer_size: int = 1000,
        spool_limit_bytes: int = 16 * 1024 * 1024,
        timeout_seconds: float = 10,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(
            lambda: FeatureLogger(
                base_url,
                api_key,
                broker_url=broker_url,
                spool_dir=spool_dir,
                buffer_size=buffer_size,
                spool_limit_bytes=spool_limit_bytes,
                timeout_seconds=timeout_seconds,
                retry=retry,
                transport=transport,
            )
        )

    @property
    def dropped(self) -> int:
        """Number of records that were dropped."""
        return self._client.dropped

    def dispatch_to_queue(self, record: Mapping[str, Any]) -> bool:
        """See `FeatureLogger.dispatch_to_queue`."""
        client = self._client
        return self._background.call_soon(lambda: client.dispatch_to_queue(record))

    def dispatch_to_api(self, record: Mapping[str, Any]) -> str | None:
        """See `FeatureLogger.dispatch_to_api`."""
        return self._call(lambda client: client.dispatch_to_api(record))
