"""Usage of the facade: uses, the story of one use, usage events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from faregate.host.arguments import check_moment
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.reports import IngestReport
from faregate.usage.service import UsageService, UsageStory
from faregate.usage.values import FeatureUsage

__all__ = ["UsageRecords"]


class UsageRecords:
    """What was used, and events of what is metered without a charge."""

    def __init__(self, service: UsageService, recorder: UsageRecorder) -> None:
        self._service = service
        self._recorder = recorder

    async def list(
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
        """Return finished uses, the one started last first.

        Args:
            since, until: bounds of the start; `since` is included, `until` is not.
            before: the last use of the page before, to continue behind it.
        """
        check_moment(since, param="since")
        check_moment(until, param="until")
        return await self._service.usages(
            user_id=user,
            organization_id=organization,
            feature_key=feature,
            since=since,
            until=until,
            before=(before.started_at, before.usage_key) if before is not None else None,
            limit=limit,
        )

    async def story(self, key: str) -> UsageStory:
        """Return hold, outcome, priced lines and transactions of one use, or raise `UnknownUsageKeyError`."""
        return await self._service.story(key)

    async def record(self, events: Sequence[Mapping[str, Any]]) -> IngestReport:
        """Record usage events (meters, tokens) without a charge; an event counts once by its `source` and `id`.

        Each event is accepted or rejected separately; the report says which were rejected, and why.
        """
        return await self._recorder.record(events)
