"""Uses in blocks: hold, run, settle, on the libraries in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from faregate.client.charge_request import ChargeRequest, Estimate
from faregate.client.credits_api import CreditsApi
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.outage import CLOSED, OutageDebts
from faregate.client.transport.spool import SettlementSpool
from faregate.client.values import Quote
from faregate.core.messaging.interfaces import ITransport
from faregate.host.arguments import storable
from faregate.host.local_gateway import LocalGateway, line_view
from faregate.usage.service import UsageService
from faregate.usage.values import FeatureRef, ModelUsage, StartRequest
from faregate.wire.ids import new_uuid7

__all__ = ["Uses", "quoted", "use_request"]

_PATIENCE_SECONDS = 5
_PAUSE_SECONDS = 1.0


class Uses:
    """The calls of `use` blocks, and the spool of settlements that could not be written yet."""

    def __init__(self, usage: UsageService, transport: ITransport, spool_dir: Path | None) -> None:
        gateway, spool = LocalGateway(usage, transport), SettlementSpool(spool_dir)
        owed = [(entry.body["usage_key"], entry.feature, entry.debt) for entry in spool.waiting() if entry.debt]
        debts = OutageDebts({}, owed, default=CLOSED)
        self._delivery = SettlementDelivery(gateway, None, spool, debts, pause_seconds=_PAUSE_SECONDS)
        self.api = CreditsApi(gateway, self._delivery, debts, "api")

    async def __aenter__(self) -> Self:
        self._delivery.reopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.finish_all(patient=True)
        await self._delivery.aclose(patience_seconds=_PATIENCE_SECONDS)


def use_request(
    feature: str,
    user: str,
    *,
    key: str | None = None,
    estimate: Estimate = None,
    organization: str | None = None,
    email: str | None = None,
    ttl_seconds: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ChargeRequest:
    """Return the request of a use, with a new usage key unless one is given."""
    return ChargeRequest(
        feature,
        user,
        str(new_uuid7()) if key is None else key,
        estimate,
        organization,
        email,
        ttl_seconds,
        storable(metadata) or {},
    )


async def quoted(usage: UsageService, request: ChargeRequest, usages: Sequence[ModelUsage]) -> Quote:
    """Return what a use would hold and cost now."""
    start = StartRequest(
        request.user_id,
        FeatureRef(id=request.feature),
        organization_id=request.organization_id,
        estimated_usages=tuple(request.estimated_usages),
        estimated_credits=request.estimated_credits,
        metadata=request.metadata or None,
    )
    found = await usage.quote(start, usages=usages)
    return Quote(
        user_id=found.user_id,
        feature=found.feature_key,
        credits=found.credits,
        hold=found.hold,
        free=found.free,
        covered=found.covered,
        charging=found.charging.value,
        lines=tuple(line_view(line) for line in found.lines),
        unpriced=found.unpriced_models,
    )
