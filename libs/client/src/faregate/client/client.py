"""Async client of the gateway."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import httpx2

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_request import ChargeRequest, Estimate
from faregate.client.credits_api import CreditsApi, SettleVia
from faregate.client.enquiries import give_feedback, read_quote_of, recorded_events, wallet_balance
from faregate.client.leases.journal import left_uses
from faregate.client.leases.lease import Lease
from faregate.client.leases.request import LeaseRequest, lease_path, report_body
from faregate.client.request_bodies import (
    USAGE_PATH,
    record_body,
    settlement_body,
)
from faregate.client.transport.broker import Broker
from faregate.client.transport.call import HttpCall
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.http import GatewayConnection
from faregate.client.transport.outage import CLOSED, Outage, OutageDebts
from faregate.client.transport.retrying import Retry
from faregate.client.transport.spool import Entry, SettlementSpool
from faregate.client.values import (
    Authorization,
    Balance,
    EventsResult,
    FeatureUsage,
    ModelUsage,
    Quote,
    UseResult,
    read_feature_usage,
)
from faregate.client.wrapping.wrap import Unmetered, user_of, wrap_sdk
from faregate.wire.credits import to_micros
from faregate.wire.ids import new_uuid7

__all__ = ["CreditsClient", "start_request"]

C = TypeVar("C")
_REPORT_LIMIT = 1000


class CreditsClient:
    """Calls one gateway. Create one per process and close it (`async with CreditsClient(…) as credits`).

    All calls are idempotent; failed ones are repeated automatically within the bounds of `retry`. Fork before the first call.
    One client may be used on several event loops and threads: each loop has its own connections, which are closed with it
    (`asyncio.run` does that; who closes a loop by hand runs `loop.shutdown_asyncgens()` first), and all share spool and debts.
    Entering a closed client opens it again.

    Args:
        base_url: the address of the gateway, such as `https://credits.example.com`.
        api_key: a server key with the scope `credits:process` (`usage:write` for `record_usage` and `record_events`,
            `wallets:read` for `balance`, `logs:write` for logs).
        broker_url: `amqp(s)://…`, or several, separated by commas, for the nodes of a cluster; with it, `settle_via_queue`
            publishes (needs `pip install aiormq`).
        spool_dir: the directory for settlements while the gateway is unavailable, and for the journals of leases; None keeps
            them in memory.
        outage: the outage policies of features, by feature. For a feature that is not named, the policy applies that the
            gateway reported at the feature's last start (its `outage_policy`), and before the first start `default_outage`.
        settle_via: how charge sessions settle: "api" answers with the new balance, "queue" does not make the host wait.
            The default is "queue" with a broker and "api" without.
        timeout_seconds: time limit of one attempt; `retry.total_seconds` limits a call with all its repetitions.
    """

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
        self._gateway = GatewayConnection(
            base_url, api_key, timeout_seconds=timeout_seconds, retry=retry or Retry(), transport=transport
        )
        broker = Broker(broker_url, timeout_seconds=timeout_seconds) if broker_url else None
        spool = SettlementSpool(spool_dir)
        owed = [(entry.body["usage_key"], entry.feature, entry.debt) for entry in spool.waiting() if entry.debt]
        self._debts = OutageDebts(outage or {}, owed, default=default_outage)
        self._delivery = SettlementDelivery(self._gateway, broker, spool, self._debts, pause_seconds=1.0)
        self._journals = spool_dir / "leases" if spool_dir is not None else None
        self._leases: WeakSet[Lease] = WeakSet()
        self._take_over_journals()
        self._api = CreditsApi(
            self._gateway, self._delivery, self._debts, settle_via or ("queue" if broker_url else "api")
        )

    async def __aenter__(self) -> Self:
        self._gateway.reopen()
        self._delivery.reopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, *, patience_seconds: float = 5) -> None:
        """Send waiting settlements for at most `patience_seconds`, then close all connections; the rest stays in the spool.

        Streams of wrapped clients that were neither read to their end nor closed are settled with the usage observed so far.
        """
        await self._api.finish_all(patient=patience_seconds > 0)
        for lease in list(self._leases):
            await lease.close() if patience_seconds > 0 else lease.abandon()
        await self._delivery.aclose(patience_seconds=patience_seconds)
        await self._gateway.aclose()

    async def authorize(
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
        """Phase I: check whether this user may use this feature, and hold the credits. Settle or `void` it afterwards.

        Raises:
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError: do not run the feature.
            UnavailableError: the gateway did not answer, and the feature's outage policy is closed or its debt is at its limit.
        """
        return await self._api.authorize(
            start_request(
                feature,
                user_id,
                usage_key=usage_key,
                estimate=estimate,
                organization_id=organization_id,
                user_email=user_email,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            )
        )

    async def settle_via_api(
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
        """Phase III, method B: settle now and return the cost.

        Raises:
            FaregateError: the settlement was refused.
            UnavailableError: it is unknown whether the use was settled; repeat the call or use `settle_via_queue`.
        """
        body = settlement_body(
            feature,
            user_id,
            usage_key,
            usages=usages,
            organization_id=organization_id,
            duration_ms=duration_ms,
            metadata=metadata,
        )
        return await self._api.settle_now(body)

    async def settle_via_queue(
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
        """Phase III, method A: hand over the settlement without waiting for its result.

        It goes to the broker if there is one. Without a broker, or if the broker does not confirm, it goes to the gateway's
        own queue (`Prefer: respond-async`); while the gateway is unavailable, to the spool.

        Raises:
            FaregateError: the gateway refused the body.
        """
        body = settlement_body(
            feature,
            user_id,
            usage_key,
            usages=usages,
            organization_id=organization_id,
            duration_ms=duration_ms,
            metadata=metadata,
        )
        return await self._api.settle_later(feature, body)

    async def void(self, usage_key: str, *, user_id: str, reason: str | None = None) -> UseResult:
        """Close a hold without a charge. Voiding it again changes nothing.

        Raises:
            UnknownUsageKeyError, HoldClosedError, KeyConflictError (another user's), UnavailableError.
        """
        return await self._api.void_hold(usage_key, user_id, reason)

    async def extend(self, usage_key: str, *, user_id: str, ttl_seconds: int) -> datetime:
        """Extend an open hold to at least `ttl_seconds` from now; return its new expiry.

        Raises:
            UnknownUsageKeyError, HoldClosedError, KeyConflictError (another user's), UnavailableError.
        """
        return await self._api.extend(usage_key, user_id, ttl_seconds)

    async def record_usage(
        self,
        feature: str,
        *,
        user_id: str,
        usage_key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        organization_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> FeatureUsage:
        """Record a use of a feature and charge it in one call. A host that repeats the call must give the same `usage_key`.

        Raises:
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, KeyConflictError, UnavailableError.
        """
        body = record_body(
            feature, user_id, usage_key=usage_key, usages=usages, organization_id=organization_id, metadata=metadata
        )
        return read_feature_usage(await self._gateway.post(HttpCall(USAGE_PATH, body)))

    async def balance(self, user: str) -> Balance:
        """Return the credits of a user, or of an organisation (`org:<id>`).

        An owner who has no wallet yet gets one at the first use or grant; until then the answer is what that would find.

        Raises:
            AccessRefusedError: the key does not have the scope `wallets:read`. UnavailableError.
        """
        return await wallet_balance(self._gateway, user)

    async def quote(
        self,
        feature: str,
        user: str,
        *,
        usages: Sequence[ModelUsage] = (),
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Quote:
        """Return what a use would hold and cost now, without holding or charging anything.

        Args:
            usages: the usage to be priced, and the estimate if there is none.
            estimate: as in `use`; if it is the usage of models, it is priced unless there are `usages`.

        Raises:
            AccessRefusedError, UnknownFeatureError, QuotaExceededError: a start would be refused. Too few credits are no error:
                the quote is not `covered`.
            UnavailableError: the gateway did not answer.
        """
        request = start_request(feature, user, estimate=estimate, organization_id=organization, metadata=metadata)
        return await read_quote_of(self._gateway, request, usages)

    async def record_events(self, events: Sequence[Mapping[str, Any]]) -> EventsResult:
        """Record usage events, such as `{"user_id": "ada", "service": "chat", "meter": "calls", "quantity": 3}` or CloudEvents.

        An event counts once by its `source` and `id`; one without an id gets a new one. An invalid event is rejected and does
        not affect the others.

        Raises:
            InvalidError: an event is not a mapping. AccessRefusedError: the key does not have the scope `usage:write`.
            UnavailableError: it is unknown which of them were recorded; repeat the call with ids.
        """
        return await recorded_events(self._gateway, events)

    async def feedback(self, usage_key: str, score: int, *, tags: Sequence[str] = (), text: str | None = None) -> None:
        """Say how good a use was for its user; feedback that is given again replaces the first.

        Args:
            score: 1 (bad) to 5 (good); thumbs are 1 and 5.
            tags: words to count, such as `wrong` or `slow`.
            text: what the user wrote; the gateway redacts it before it is stored.

        Raises:
            UnknownUsageKeyError: no use has this key.
            InvalidError: the score or a tag is invalid.
            UnavailableError: the gateway did not answer; the call may be repeated.
        """
        await give_feedback(self._gateway, usage_key, score, tags, text)

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
    ) -> ChargeHandle:
        """Hold credits, run a block, and settle what it used: `async with credits.use("ai_chat_v1", "ada") as use:`.

        In the block, `use.observe(reply)` reads the usage that a provider's reply reports; after it, `use.result` tells what was
        charged. If the block raises before anything was observed, the hold is voided. It is extended while the block runs.

        Args:
            key: the usage key; a new one by default.
            estimate: the expected cost in credits, or the expected usage of models; the hold covers it.
            ttl_seconds: the lifetime of the hold should this process end (1 to 86,400).

        Raises (on entry):
            InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: do not run the feature.
            UnavailableError: the gateway did not answer, and the feature's outage policy does not allow the use.
        """
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
    ) -> Lease:
        """Take a block of credits and decide uses locally: `async with credits.lease("search", user="ada", credits=100) as lease:`.

        `lease.use(0.25)` decides in microseconds. What is used is charged within about `report_seconds`, each use once by its key;
        the block is renewed and topped up in the background, and the rest of it returns at the end of the block of code. If this
        process is killed, the block returns after at most `ttl_seconds`; with a `spool_dir` the next client reports what was used.

        Args:
            credits: the size of the block; it is held on the payer's wallet while the lease lasts.
            ttl_seconds: the lifetime of the lease should this process end (1 to 86,400).
            report_seconds: how long a use may wait to be reported, at most a quarter of `ttl_seconds`.
            fsync: wait for the disk at each use, so that the journal survives a crash of the machine, too.

        Raises (on entry):
            InsufficientCreditsError: the wallet has fewer free credits than the block.
            AccessRefusedError, UnknownFeatureError, QuotaExceededError, UnavailableError.
        """
        request = LeaseRequest(
            feature,
            user,
            str(new_uuid7()),
            to_micros(credits),
            ttl_seconds,
            report_seconds,
            fsync=fsync,
            organization_id=organization,
            metadata=metadata,
        )
        lease = Lease(self._gateway, self._delivery, request.check(), self._journals)
        self._leases.add(lease)
        return lease

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
    ) -> ChargeHandle:
        """Return the same block as `use`, of which this is the earlier name."""
        return ChargeHandle(
            self._api,
            start_request(
                feature,
                user_id,
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
        """Return a copy of an async OpenAI or Anthropic client whose model calls are charged, each as a use of its own.

        Within a `charge` block the block's session observes the call instead. Wrapping a wrapped client again replaces the
        first wrapping.

        Args:
            user_id: the user who pays, or a function of the request's body that returns one. By default, the user that the
                request names.
            unmetered: how to treat calls that cost money but whose reply reports no usage (batches, fine-tuning, videos,
                realtime, …, and unknown endpoints): "refuse" them, "warn" in the log, or "pass".

        Raises:
            InvalidError: `client` is a sync client, or not a client of a supported SDK.
        """

        def charger(body: Mapping[str, Any]) -> ChargeHandle:
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

        return wrap_sdk(client, charger, unmetered=unmetered, asynchronous=True)

    def _take_over_journals(self) -> None:
        """Put what dead processes have used of their leases and not reported into the spool."""
        for left in left_uses(self._journals):
            for start in range(0, len(left.uses), _REPORT_LIMIT):
                body = report_body(left.uses[start : start + _REPORT_LIMIT])
                self._delivery.keep(Entry(lease_path(left.lease_id, "report"), body))
            left.remove()

    async def drain(self) -> bool:
        """Send the spool now; return whether it is empty afterwards. The spool is also sent in the background."""
        return await self._delivery.drain()

    def debt(self, feature: str) -> Decimal:
        """Return the credits of this feature's uses that ran on debt and are not settled yet."""
        return self._debts.total(feature)


def start_request(
    feature: str,
    user_id: str,
    *,
    usage_key: str | None = None,
    estimate: Estimate = None,
    organization_id: str | None = None,
    user_email: str | None = None,
    ttl_seconds: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ChargeRequest:
    """Return the charge request of a use, with a new usage key unless one is given."""
    return ChargeRequest(
        feature,
        user_id,
        str(new_uuid7()) if usage_key is None else usage_key,
        estimate,
        organization_id,
        user_email,
        ttl_seconds,
        metadata or {},
    )
