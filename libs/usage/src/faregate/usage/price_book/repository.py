"""Statements on price overrides, margins, and unpriced lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.usage.pricing.overrides import Margins, Override, PriceList
from faregate.usage.pricing.rate_cards import card_of
from faregate.wire import exact_json

__all__ = ["ParkedLine", "PriceRepository"]

_COLUMNS = """
number, model, provider, service_tier, effective_from, effective_to, prices, actor, note, created_at, withdrawn_at
"""

_OVERRIDES = f"select {_COLUMNS} from faregate.price_override order by number"  # noqa: S608

_MARGINS = "select scope, name, percent from faregate.margin"

_ADD = f"""
insert into faregate.price_override (model, provider, service_tier, effective_from, effective_to, prices, actor, note)
values (:model, cast(:provider as text), cast(:service_tier as text),
  coalesce(cast(:effective_from as timestamptz), now()), cast(:effective_to as timestamptz), cast(:prices as jsonb),
  cast(:actor as text), cast(:note as text))
returning {_COLUMNS}
"""  # noqa: S608

_WITHDRAW = """
update faregate.price_override set withdrawn_at = now() where number = :number and withdrawn_at is null returning model
"""

_SET_MARGIN = """
insert into faregate.margin (scope, name, percent) values (:scope, :name, :percent)
on conflict (scope, name) do update set percent = excluded.percent
"""

_DROP_MARGIN = "delete from faregate.margin where scope = :scope and name = :name"

_PARKED = """
select l.usage_key, min(l.settled_at) as settled_at, count(*) as lines, array_agg(distinct l.model) as models
from faregate.usage_line l
where l.price_version = 'unpriced' and (cast(:model as text) is null or lower(l.model) = lower(:model))
  and (cast(:usage_key as text) is null or l.usage_key = :usage_key) and l.usage_key > :after
group by l.usage_key order by l.usage_key limit :limit
"""


@dataclass(frozen=True, slots=True)
class ParkedLine:
    """A use with lines that wait for a price."""

    usage_key: str
    settled_at: datetime
    lines: int
    models: tuple[str, ...]


class PriceRepository:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def price_list(self, session: AsyncSession) -> PriceList:
        """Return all overrides, withdrawn ones included, and the margins."""
        overrides = [_override(row) for row in await self._database.rows(session, _OVERRIDES)]
        margins: dict[str, dict[str, Decimal]] = {"model": {}, "provider": {}}
        for row in await self._database.rows(session, _MARGINS):
            margins[row.scope][row.name] = row.percent
        return PriceList(overrides, Margins(margins["model"], margins["provider"]))

    async def add_override(
        self,
        session: AsyncSession,
        model: str,
        *,
        provider: str | None,
        service_tier: str | None,
        effective_from: datetime | None,
        effective_to: datetime | None,
        prices: Mapping[str, Any],
        actor: str | None,
        note: str | None,
    ) -> Override:
        """Append an override; without `effective_from` it counts from now on, by the database's clock."""
        (row,) = await self._database.rows(
            session,
            _ADD,
            model=model.lower(),
            provider=provider.lower() if provider else None,
            service_tier=service_tier.lower() if service_tier else None,
            effective_from=effective_from,
            effective_to=effective_to,
            prices=exact_json.dumps(dict(prices)).decode(),
            actor=actor,
            note=note,
        )
        return _override(row)

    async def withdraw(self, session: AsyncSession, number: int) -> str | None:
        """Take an override back; return its model, or None if there is none in force or planned."""
        rows = await self._database.rows(session, _WITHDRAW, number=number)
        return rows[0].model if rows else None

    async def set_margin(self, session: AsyncSession, scope: str, name: str, percent: Decimal | None) -> None:
        """Set the margin of a "model" or "provider"; None takes it away."""
        key = {"scope": scope, "name": name.lower()}
        if percent is None:
            await self._database.rows(session, _DROP_MARGIN, **key)
        else:
            await self._database.rows(session, _SET_MARGIN, **key, percent=percent)

    async def parked(
        self, session: AsyncSession, *, model: str | None, usage_key: str | None, after: str, limit: int
    ) -> Sequence[ParkedLine]:
        """Return uses with unpriced lines, in order of their keys, from just behind `after`."""
        rows = await self._database.rows(session, _PARKED, model=model, usage_key=usage_key, after=after, limit=limit)
        return [ParkedLine(r.usage_key, r.settled_at, r.lines, tuple(m or "?" for m in r.models)) for r in rows]


def _override(row: Any) -> Override:
    return Override(
        number=row.number,
        model=row.model,
        provider=row.provider,
        service_tier=row.service_tier,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        prices=row.prices,
        card=card_of(row.prices),
        actor=row.actor,
        note=row.note,
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
    )
