"""Story of one use: credits, usage events, feature logs.

The credits are the hold, the outcome, the lines and the transfers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.answers.sql import EVENTS_OF_MANY, STORY_EVENTS
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.credit.errors import UnknownUsageKeyError
from faregate.feature_log.service import FeatureLogService
from faregate.feature_log.values import FeatureLog
from faregate.usage.service import UsageService, UsageStory
from faregate.wire.credits import to_credits

__all__ = ["StoryEvent", "Storyteller", "UseStory"]

_MARGIN = timedelta(days=1)
_EVENTS_PER_USE = 1_000


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """One metered fact of the use: `request`, `line` or `meter`."""

    time: datetime
    kind: str
    service: str
    feature_key: str | None
    model: str | None
    provider: str | None
    meter: str | None
    quantity: Decimal | None
    input_tokens: int
    output_tokens: int
    credits: Decimal
    latency_ms: int | None
    status: int | None
    source: str


@dataclass(frozen=True, slots=True)
class UseStory:
    """Usage events and feature logs of one use, only those of its user. Logs have no bodies and no e-mail address."""

    events: Sequence[StoryEvent]
    logs: Sequence[FeatureLog] = ()


class Storyteller:
    """Collects the data of the libraries about one `usage_key`."""

    def __init__(self, database: Database, clock: IClock, usage: UsageService, logs: FeatureLogService) -> None:
        self._database = database
        self._clock = clock
        self._usage = usage
        self._logs = logs

    async def tell(self, usage_key: str) -> tuple[UsageStory, UseStory]:
        """Return the whole story of one use.

        Raises:
            UnknownUsageKeyError: no use has this key.
        """
        use = await self._usage.story(usage_key)
        events = await self._events(usage_key, use.user_id, use.charge.created_at, self._last(use))
        return use, UseStory(events, await self._logs.of_usage(usage_key, user_id=use.user_id))

    async def behind(self, log: FeatureLog) -> tuple[UsageStory | None, UseStory]:
        """Return the use of one feature log, if it has one with credits, and the events of the log's user in it."""
        if log.usage_key is None:
            return None, UseStory(())
        try:
            use = await self._usage.story(log.usage_key)
        except UnknownUsageKeyError:
            return None, UseStory(await self._events(log.usage_key, log.user_id, log.logged_at, log.logged_at))
        if use.user_id != log.user_id:
            return None, UseStory(())
        moments = [log.logged_at, use.charge.created_at, use.charge.settled_at or log.logged_at]
        return use, UseStory(await self._events(log.usage_key, log.user_id, min(moments), max(moments)))

    async def events_of(
        self, uses: Iterable[UsageStory], *, limit: int = _EVENTS_PER_USE
    ) -> Mapping[str, Sequence[StoryEvent]]:
        """Return the counted events of these uses by usage key, in one statement; at most `limit` of each."""
        wanted = list(uses)
        spans = [(use.charge.created_at, self._last(use)) for use in wanted]
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(
                session,
                EVENTS_OF_MANY,
                keys=[use.charge.usage_key for use in wanted],
                users=[use.user_id for use in wanted],
                since=[first - _MARGIN for first, _ in spans],
                until=[last + _MARGIN for _, last in spans],
                limit=limit,
            )
        found: dict[str, list[StoryEvent]] = {}
        for row in rows:
            found.setdefault(row.usage_key, []).append(_event(row))
        return found

    async def logs_of(self, uses: Iterable[UsageStory]) -> Mapping[str, Sequence[FeatureLog]]:
        """Return the feature logs of these uses by usage key, without bodies and e-mail, in one statement."""
        return await self._logs.of_usages([(use.charge.usage_key, use.user_id) for use in uses])

    def _last(self, use: UsageStory) -> datetime:
        charge = use.charge
        return charge.settled_at or charge.closed_at or charge.expires_at or self._clock.now()

    async def _events(self, usage_key: str, user_id: str, first: datetime, last: datetime) -> Sequence[StoryEvent]:
        """Return the counted events from a day before to a day after the use, so that the index by user and time can be used."""
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(
                session, STORY_EVENTS, user_id=user_id, usage_key=usage_key, since=first - _MARGIN, until=last + _MARGIN
            )
        return [_event(row) for row in rows]


def _event(row: Any) -> StoryEvent:
    cells = {field.name: getattr(row, field.name) for field in fields(StoryEvent)}
    cells |= {"kind": ("request", "line", "meter")[row.kind], "credits": to_credits(row.credits)}
    return StoryEvent(**cells)
