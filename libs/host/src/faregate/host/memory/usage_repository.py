"""Usage lines, finished uses and usage events in memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.partitions import Month, Partitions
from faregate.core.errors import InvalidError
from faregate.credit.ledger.states import ChargeState, ChargeStatus
from faregate.host.memory.database import MemoryDatabase
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.credits_process.settled_events import SettledEvents
from faregate.usage.credits_process.use_facts import NO_FACTS, UseFacts
from faregate.usage.events.claims import claim_key
from faregate.usage.events.repository import EventRepository
from faregate.usage.values import FeatureUsage, UsageLine
from faregate.wire.credits import to_credits
from faregate.wire.ids import organization_id_of

__all__ = ["MemoryEventRepository", "MemoryPartitions", "MemorySettledEvents", "MemoryUsageRepository"]


class MemoryUsageRepository(UsageRepository):
    """Lines and uses of a store."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._store = database.store

    async def add_lines(self, session: AsyncSession, lines: Sequence[tuple[str, int, UsageLine, datetime]]) -> None:
        for usage_key, _, line, _ in lines:
            self._store.lines[usage_key] = (*self._store.lines.get(usage_key, ()), line)

    async def lines(self, session: AsyncSession, usage_keys: Iterable[str]) -> dict[str, tuple[UsageLine, ...]]:
        return {key: self._store.lines[key] for key in usage_keys if key in self._store.lines}

    async def usages_of(self, session: AsyncSession, usage_keys: Sequence[str]) -> list[FeatureUsage]:
        wanted = set(usage_keys)
        return [self._usage(charge) for charge in self._settled() if charge.usage_key in wanted]

    async def usages(
        self,
        session: AsyncSession,
        *,
        user_id: str | None,
        organization_owner: str | None,
        feature_key: str | None,
        model: str | None,
        since: datetime | None,
        until: datetime | None,
        before: tuple[datetime, str] | None,
        limit: int,
        facts: UseFacts = NO_FACTS,
    ) -> list[FeatureUsage]:
        if not facts.empty:
            raise InvalidError("uses in memory cannot be found by their usage events; filter by user, feature or start")
        organization = organization_id_of(organization_owner)
        found = [
            usage
            for usage in map(self._usage, self._settled())
            if (user_id is None or usage.user_id == user_id)
            and (organization is None or usage.organization_id == organization)
            and (feature_key is None or usage.feature_key == feature_key)
            and (model is None or model in {line.usage.model for line in self._store.lines.get(usage.usage_key, ())})
            and (since is None or usage.started_at >= since)
            and (until is None or usage.started_at < until)
            and (before is None or (usage.started_at, usage.usage_key) < before)
        ]
        return sorted(found, key=lambda usage: (usage.started_at, usage.usage_key), reverse=True)[:limit]

    def _settled(self) -> list[ChargeState]:
        return [charge for charge in self._store.charges.values() if charge.status is ChargeStatus.SETTLED]

    def _usage(self, charge: ChargeState) -> FeatureUsage:
        names = {subject.subject_id: subject.external_id for subject in self._store.subjects.values()}
        return FeatureUsage(
            id=charge.usage_key,
            usage_key=charge.usage_key,
            user_id=names[charge.subject_id],
            organization_id=organization_id_of(names[charge.organization_id]) if charge.organization_id else None,
            feature_key=charge.feature_key,
            credits_consumed=to_credits(charge.consumed),
            credits_charged=to_credits(charge.charged),
            metadata=charge.metadata or {},
            started_at=charge.created_at,
            executed_at=charge.settled_at or charge.created_at,
        )


class MemoryPartitions(Partitions):
    """There are no partitions in memory."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database, "usage_event")

    async def ensure(self, months: Iterable[Month]) -> None:
        """Create nothing."""


class MemorySettledEvents(SettledEvents):
    """Keeps no facts of settlements: there is nothing in memory that sums them."""

    def __init__(self) -> None:
        """Take nothing."""

    async def ready(self) -> None:
        """Prepare nothing."""

    async def add(self, session: AsyncSession, settlements: Sequence[tuple[ChargeState, Sequence[UsageLine]]]) -> None:
        """Keep nothing."""


class MemoryEventRepository(EventRepository):
    """Claims on the identities of events, so that a repeated one counts once."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._store = database.store

    async def claim_all(self, session: AsyncSession, claims: Sequence[bytes]) -> bool:
        return False

    async def claim_new(self, session: AsyncSession, claims: Sequence[bytes]) -> set[bytes]:
        new = {claim_key(claim) for claim in claims} - self._store.claims.keys()
        self._store.claims.update({key: key for key in new})
        return new

    async def add(self, session: AsyncSession, rows: Iterable[bytes]) -> None:
        """Count the events; their rows are not kept."""

    async def reject(self, session: AsyncSession, reasons: Mapping[UUID, str]) -> None:
        """Keep no reason: the report has it."""
