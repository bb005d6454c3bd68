"""What an adapter charges with: the client or the facade."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_request import Estimate
from faregate.client.sync_charge_handle import SyncChargeHandle
from faregate.client.values import ModelUsage, Quote

__all__ = ["ICharges"]


class ICharges(Protocol):
    """The calls that `CreditsClient`, `Faregate`, their sync classes and their fakes have in common."""

    def use(
        self,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ChargeHandle | SyncChargeHandle:
        """Return the block that holds credits and settles what is used."""
        ...

    def quote(
        self,
        feature: str,
        user: str,
        *,
        usages: Sequence[ModelUsage] = (),
        estimate: Estimate = None,
        organization: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Quote | Coroutine[Any, Any, Quote]:
        """Return what a use would hold and cost now."""
        ...
