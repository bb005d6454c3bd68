"""All statements on usage lines and finished uses."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import COPIED_FROM, Database
from faregate.usage.credits_process.use_facts import NO_FACTS, UseFacts
from faregate.usage.credits_process.use_facts_sql import EVENT_FILTER, event_parameters
from faregate.usage.values import FeatureUsage, ModelUsage, UsageLine
from faregate.wire import exact_json
from faregate.wire.credits import to_credits, to_micros
from faregate.wire.ids import ORGANIZATION_PREFIX
from faregate.wire.rates import are_inconsistent

__all__ = ["UsageRepository"]

_ADD_LINES = """
insert into faregate.usage_line (usage_key, line_no, model, provider, tokens, quantity, unit, service_tier,
  provider_cost_usd, input_cost_usd, output_cost_usd, margin_percent, credit_price_usd, credits, price_version, raw,
  settled_at, reported_cost_usd)
select n.usage_key, n.line_no, n.model, n.provider, n.tokens::jsonb, n.quantity, n.unit, n.service_tier,
  n.provider_cost_usd, n.input_cost_usd, n.output_cost_usd, n.margin_percent, n.credit_price_usd, n.credits,
  n.price_version, n.raw::jsonb, n.settled_at, n.reported_cost_usd
from unnest(cast(:usage_key as text[]), cast(:line_no as smallint[]), cast(:model as text[]), cast(:provider as text[]),
  cast(:tokens as text[]), cast(:quantity as numeric[]), cast(:unit as text[]), cast(:service_tier as text[]),
  cast(:provider_cost_usd as numeric[]), cast(:input_cost_usd as numeric[]), cast(:output_cost_usd as numeric[]),
  cast(:margin_percent as numeric[]), cast(:credit_price_usd as numeric[]), cast(:credits as bigint[]),
  cast(:price_version as text[]), cast(:raw as text[]), cast(:settled_at as timestamptz[]),
  cast(:reported_cost_usd as numeric[]))
  as n (usage_key, line_no, model, provider, tokens, quantity, unit, service_tier, provider_cost_usd, input_cost_usd,
  output_cost_usd, margin_percent, credit_price_usd, credits, price_version, raw, settled_at, reported_cost_usd)
"""

_COLUMNS = [
    *("usage_key", "line_no", "model", "provider", "tokens", "quantity", "unit", "service_tier", "provider_cost_usd"),
    *("input_cost_usd", "output_cost_usd", "margin_percent", "credit_price_usd", "credits", "price_version", "raw"),
    *("settled_at", "reported_cost_usd"),
]

_LINES = """
select l.* from unnest(cast(:keys as text[])) as wanted (usage_key)
cross join lateral (select * from faregate.usage_line where usage_key = wanted.usage_key offset 0) l
order by l.usage_key, l.line_no
"""

_PRICE_LINE = """
update faregate.usage_line set provider = :provider, provider_cost_usd = :cost, input_cost_usd = :input,
  output_cost_usd = :output, margin_percent = :margin, credit_price_usd = :credit_price, credits = :credits,
  price_version = :version, repriced_at = now()
where usage_key = :usage_key and line_no = :number and price_version = 'unpriced'
"""

_USAGE_COLUMNS = """
select c.usage_key, c.feature_key, c.consumed, c.charged, c.metadata, c.settled_at, c.created_at,
  s.external_id as user_id, o.external_id as organization_id
"""

_NAMES = """
join faregate.subject s on s.subject_id = c.subject_id
left join faregate.subject o on o.subject_id = c.organization_id
"""

_USAGES_OF = f"""
{_USAGE_COLUMNS}
from unnest(cast(:keys as text[])) as wanted (usage_key)
cross join lateral (select * from faregate.charge where usage_key = wanted.usage_key and status = 1 offset 0) c
{_NAMES}
"""  # noqa: S608

_FIND_USAGES = f"""
{_USAGE_COLUMNS}
from faregate.charge c
{_NAMES}
where c.status = 1
  and (cast(:user_id as text) is null
       or c.subject_id = (select subject_id from faregate.subject where external_id = :user_id))
  and (cast(:organization_id as text) is null
       or c.organization_id = (select subject_id from faregate.subject where external_id = :organization_id))
  and (cast(:feature_key as text) is null or c.feature_key = :feature_key)
  and (cast(:model as text) is null or exists (
    select from faregate.usage_line l where l.usage_key = c.usage_key
      and (l.model = :model or right(l.model, length(:model) + 1) = '/' || cast(:model as text))))
{EVENT_FILTER}
  and (cast(:settled_since as timestamptz) is null or c.settled_at >= :settled_since)
  and (cast(:settled_until as timestamptz) is null or c.settled_at < :settled_until)
  and (cast(:since as timestamptz) is null or c.created_at >= :since)
  and (cast(:until as timestamptz) is null or c.created_at < :until)
  and (cast(:before_at as timestamptz) is null or (c.created_at, c.usage_key) < (:before_at, cast(:before_key as text)))
order by c.created_at desc, c.usage_key desc
limit :limit
"""  # noqa: S608


class UsageRepository:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def warm_up(self, session: AsyncSession) -> None:
        """Prepare what `add_lines` runs for a batch."""
        await self._database.copy(session, "usage_line", _COLUMNS, [])

    async def add_lines(self, session: AsyncSession, lines: Sequence[tuple[str, int, UsageLine, datetime]]) -> None:
        """Append lines, given as (usage key, number, line, settled at)."""
        if not lines:
            return
        rows = [_line_row(*line) for line in lines]
        if len(rows) >= COPIED_FROM:
            await self._database.copy(session, "usage_line", _COLUMNS, rows)
            return
        arrays = {name: list(values) for name, values in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
        await self._database.rows(session, _ADD_LINES, **arrays)

    async def lines(self, session: AsyncSession, usage_keys: Iterable[str]) -> dict[str, tuple[UsageLine, ...]]:
        """Return the lines of these uses, in order, each once."""
        found: dict[str, tuple[UsageLine, ...]] = {}
        for row in await self._database.rows(session, _LINES, keys=list(dict.fromkeys(usage_keys))):
            found[row.usage_key] = (*found.get(row.usage_key, ()), _line(row))
        return found

    async def price_line(self, session: AsyncSession, usage_key: str, number: int, line: UsageLine) -> None:
        """Give an unpriced line its price; one that has a price keeps it."""
        await self._database.rows(
            session,
            _PRICE_LINE,
            usage_key=usage_key,
            number=number,
            provider=line.provider,
            cost=line.provider_cost_usd,
            input=line.input_cost_usd,
            output=line.output_cost_usd,
            margin=line.margin_percent,
            credit_price=line.credit_price_usd,
            credits=to_micros(line.credits),
            version=line.price_version,
        )

    async def usages_of(self, session: AsyncSession, usage_keys: Sequence[str]) -> list[FeatureUsage]:
        """Return these finished uses."""
        return [
            _usage(row) for row in await self._database.rows(session, _USAGES_OF, keys=list(dict.fromkeys(usage_keys)))
        ]

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
        """Return finished uses, the one started last first, from just before `before` (start, key)."""
        rows = await self._database.rows(
            session,
            _FIND_USAGES,
            user_id=user_id,
            organization_id=organization_owner,
            feature_key=feature_key,
            model=model,
            since=since,
            until=until,
            before_at=before[0] if before else None,
            before_key=before[1] if before else None,
            limit=limit,
            settled_since=facts.settled_since,
            settled_until=facts.settled_until,
            **event_parameters(facts),
        )
        return [_usage(row) for row in rows]


def _line_row(usage_key: str, number: int, line: UsageLine, settled_at: datetime) -> tuple[Any, ...]:
    usage = line.usage
    return (
        usage_key,
        number,
        usage.model,
        line.provider,
        exact_json.dumps(dict(usage.tokens)).decode(),
        usage.quantity,
        usage.unit,
        usage.service_tier,
        line.provider_cost_usd,
        line.input_cost_usd,
        line.output_cost_usd,
        line.margin_percent,
        line.credit_price_usd,
        to_micros(line.credits),
        line.price_version,
        exact_json.dumps(usage.raw).decode() if usage.raw is not None else None,
        settled_at,
        usage.reported_cost_usd,
    )


def _line(row: Any) -> UsageLine:
    usage = ModelUsage(
        model=row.model,
        provider=row.provider,
        tokens=row.tokens,
        quantity=row.quantity,
        unit=row.unit,
        service_tier=row.service_tier,
        raw=row.raw,
        inconsistent=are_inconsistent(row.tokens),
        reported_cost_usd=row.reported_cost_usd,
    )
    return UsageLine(
        usage=usage,
        provider=row.provider,
        provider_cost_usd=row.provider_cost_usd,
        input_cost_usd=row.input_cost_usd,
        output_cost_usd=row.output_cost_usd,
        margin_percent=row.margin_percent,
        credit_price_usd=row.credit_price_usd,
        credits=to_credits(row.credits),
        price_version=row.price_version,
    )


def _usage(row: Any) -> FeatureUsage:
    return FeatureUsage(
        id=row.usage_key,
        usage_key=row.usage_key,
        user_id=row.user_id,
        organization_id=row.organization_id.removeprefix(ORGANIZATION_PREFIX) if row.organization_id else None,
        feature_key=row.feature_key,
        credits_consumed=to_credits(row.consumed),
        credits_charged=to_credits(row.charged),
        metadata=row.metadata or {},
        started_at=row.created_at,
        executed_at=row.settled_at,
    )
