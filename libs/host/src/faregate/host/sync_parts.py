"""Features, organisations and usage of the facade, sync."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from faregate.host.facade import Faregate
from faregate.usage.accounts.organizations import Organization
from faregate.usage.events.reports import IngestReport
from faregate.usage.service import UsageStory
from faregate.usage.values import Feature, FeatureUsage

__all__ = ["ICall", "SyncFeatures", "SyncOrganizations", "SyncUsageRecords"]

T = TypeVar("T")


class ICall(Protocol):
    """Runs an async call of the facade on its event loop, and returns the result."""

    def __call__(self, work: Callable[[Faregate], Coroutine[Any, Any, T]]) -> T: ...


class SyncFeatures:
    """Sync counterpart of `Features`."""

    def __init__(self, call: ICall) -> None:
        self._call = call

    def define(
        self,
        key: str,
        *,
        strategy: str,
        parameters: Mapping[str, Any] | None = None,
        min_credits: Decimal | int = 0,
        actor: str | None = None,
        **fields: Any,
    ) -> Feature:
        """Define a feature, or replace its definition; see `Features.define`."""
        return self._call(
            lambda fare: fare.features.define(
                key, strategy=strategy, parameters=parameters, min_credits=min_credits, actor=actor, **fields
            )
        )

    def get(self, key: str) -> Feature:
        """Return a feature, or raise `UnknownFeatureError`."""
        return self._call(lambda fare: fare.features.get(key))

    def list(self) -> Sequence[Feature]:
        """Return all features, by key."""
        return self._call(lambda fare: fare.features.list())

    def delete(self, key: str, *, actor: str | None = None) -> None:
        """Delete a definition; see `Features.delete`."""
        self._call(lambda fare: fare.features.delete(key, actor=actor))


class SyncOrganizations:
    """Sync counterpart of `Organizations`."""

    def __init__(self, call: ICall) -> None:
        self._call = call

    def define(
        self, organization: str, *, policy: str | None = None, join: Sequence[str] = (), leave: Sequence[str] = ()
    ) -> Organization:
        """Create an organisation if needed, set its policy, add and remove members; see `Organizations.define`."""
        return self._call(lambda fare: fare.organizations.define(organization, policy=policy, join=join, leave=leave))

    def get(self, organization: str) -> Organization:
        """Return an organisation with its members, or raise `UnknownOrganizationError`."""
        return self._call(lambda fare: fare.organizations.get(organization))

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Organization]:
        """Return organisations without their members, in order of their ids, starting after `after`."""
        return self._call(lambda fare: fare.organizations.list(after=after, limit=limit))


class SyncUsageRecords:
    """Sync counterpart of `UsageRecords`."""

    def __init__(self, call: ICall) -> None:
        self._call = call

    def list(
        self,
        *,
        user: str | None = None,
        organization: str | None = None,
        feature: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: FeatureUsage | None = None,
        limit: int = 100,
    ) -> Sequence[FeatureUsage]:
        """Return finished uses, the one started last first; see `UsageRecords.list`."""
        return self._call(
            lambda fare: fare.usage.list(
                user=user,
                organization=organization,
                feature=feature,
                since=since,
                until=until,
                before=before,
                limit=limit,
            )
        )

    def story(self, key: str) -> UsageStory:
        """Return hold, outcome, priced lines and transactions of one use, or raise `UnknownUsageKeyError`."""
        return self._call(lambda fare: fare.usage.story(key))

    def record(self, events: Sequence[Mapping[str, Any]]) -> IngestReport:
        """Record usage events without a charge; see `UsageRecords.record`."""
        return self._call(lambda fare: fare.usage.record(events))
