"""Statements on features, plans, overrides, margins, and their versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.usage.features.documents import PlanDocument, feature_content, plan_content, read_document
from faregate.usage.features.plans import Plan
from faregate.usage.values import Feature, FeatureAccess, HoldSizing, OutagePolicy
from faregate.wire import exact_json
from faregate.wire.credits import to_credits, to_micros

__all__ = ["Definition", "DefinitionRepository"]

_FEATURES = """
select key, feature_id, name, min_credits, strategy, parameters, access, active, hold_ttl_seconds, hold_limit,
  hold_sizing, hold_credits, hold_percentile, margin_percent, refuse_unpriced, outage_policy, outage_limit, retired_at
from faregate.feature
"""

_SAVE_FEATURE = """
insert into faregate.feature (key, feature_id, name, min_credits, strategy, parameters, access, active,
  hold_ttl_seconds, hold_limit, hold_sizing, hold_credits, hold_percentile, margin_percent, refuse_unpriced,
  outage_policy, outage_limit)
values (:key, cast(:feature_id as text), :name, :min_credits, :strategy, cast(:parameters as jsonb),
  cast(:access as jsonb), :active, cast(:hold_ttl_seconds as int), cast(:hold_limit as bigint), :hold_sizing,
  cast(:hold_credits as bigint), cast(:hold_percentile as numeric), cast(:margin_percent as numeric),
  :refuse_unpriced, :outage_policy, cast(:outage_limit as bigint))
on conflict (key) do update set feature_id = excluded.feature_id, name = excluded.name,
  min_credits = excluded.min_credits, strategy = excluded.strategy, parameters = excluded.parameters,
  access = excluded.access, active = excluded.active, hold_ttl_seconds = excluded.hold_ttl_seconds,
  hold_limit = excluded.hold_limit, hold_sizing = excluded.hold_sizing, hold_credits = excluded.hold_credits,
  hold_percentile = excluded.hold_percentile, margin_percent = excluded.margin_percent,
  refuse_unpriced = excluded.refuse_unpriced, outage_policy = excluded.outage_policy,
  outage_limit = excluded.outage_limit, updated_at = now(), retired_at = null
"""

_RETIRE_FEATURE = """
update faregate.feature set retired_at = now(), feature_id = null where key = :key and retired_at is null returning key
"""

_ID_OWNER = "select key from faregate.feature where feature_id = :id and key <> :key and retired_at is null"

_PLANS = "select key, name, margin_percent, features, grants from faregate.plan"

_SAVE_PLAN = """
insert into faregate.plan (key, name, margin_percent, features, grants)
values (:key, :name, cast(:margin_percent as numeric), cast(:features as jsonb), cast(:grants as jsonb))
on conflict (key) do update set name = excluded.name, margin_percent = excluded.margin_percent,
  features = excluded.features, grants = excluded.grants, updated_at = now()
"""

_DELETE_PLAN = "delete from faregate.plan where key = :key returning key"

_LATEST = """
select version, content from faregate.definition where kind = :kind and key = :key order by version desc limit 1
"""

_NOTE = """
insert into faregate.definition (kind, key, version, content, actor)
values (:kind, :key, :version, cast(:content as jsonb), cast(:actor as text))
"""

_HISTORY = """
select kind, key, version, content, actor, created_at from faregate.definition
where kind = :kind and key = :key order by version desc limit :limit
"""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of something defined; `content` None says that it was removed."""

    kind: str
    key: str
    version: int
    content: Mapping[str, Any] | None
    actor: str | None
    created_at: datetime


class DefinitionRepository:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def features(self, session: AsyncSession) -> tuple[list[Feature], list[Feature]]:
        """Return the features defined, and those that are retired: no start, but what has begun is settled by them."""
        rows = await self._database.rows(session, _FEATURES)
        live = [_feature(row) for row in rows if row.retired_at is None]
        return live, [_feature(row) for row in rows if row.retired_at is not None]

    async def id_owner(self, session: AsyncSession, feature: Feature) -> str | None:
        """Return the key of another feature that has this one's id."""
        rows = await self._database.rows(session, _ID_OWNER, id=feature.feature_id, key=feature.key)
        return rows[0].key if rows else None

    async def save_feature(self, session: AsyncSession, feature: Feature, *, actor: str | None) -> None:
        """Insert or replace."""
        await self._database.rows(session, _SAVE_FEATURE, **_feature_row(feature))
        await self.note(session, "feature", feature.key, feature_content(feature), actor=actor)

    async def retire_feature(self, session: AsyncSession, key: str, *, actor: str | None) -> bool:
        """Take a definition out of use; tell whether there was one."""
        if not await self._database.rows(session, _RETIRE_FEATURE, key=key):
            return False
        await self.note(session, "feature", key, None, actor=actor)
        return True

    async def plans(self, session: AsyncSession) -> list[Plan]:
        """Return all plans."""
        return [_plan(row) for row in await self._database.rows(session, _PLANS)]

    async def save_plan(self, session: AsyncSession, plan: Plan, *, actor: str | None) -> None:
        """Insert or replace."""
        content = plan_content(plan)
        await self._database.rows(
            session,
            _SAVE_PLAN,
            key=plan.key,
            name=plan.name,
            margin_percent=plan.margin_percent,
            features=_json(content["features"]),
            grants=_json(content["grants"]),
        )
        await self.note(session, "plan", plan.key, content, actor=actor)

    async def delete_plan(self, session: AsyncSession, key: str, *, actor: str | None) -> bool:
        """Remove; tell whether there was one."""
        if not await self._database.rows(session, _DELETE_PLAN, key=key):
            return False
        await self.note(session, "plan", key, None, actor=actor)
        return True

    async def note(
        self, session: AsyncSession, kind: str, key: str, content: Mapping[str, Any] | None, *, actor: str | None
    ) -> None:
        """Append a version, unless nothing has changed since the last one."""
        latest = await self._database.rows(session, _LATEST, kind=kind, key=key)
        text = _json(content) if content is not None else None
        if latest and _same(latest[0].content, text):
            return
        version = latest[0].version + 1 if latest else 1
        await self._database.rows(session, _NOTE, kind=kind, key=key, version=version, content=text, actor=actor)

    async def history(self, session: AsyncSession, kind: str, key: str, *, limit: int = 100) -> Sequence[Definition]:
        """Return the versions of one thing, newest first."""
        rows = await self._database.rows(session, _HISTORY, kind=kind, key=key, limit=limit)
        return [Definition(r.kind, r.key, r.version, r.content, r.actor, r.created_at) for r in rows]


def _json(value: Any) -> str:
    return exact_json.dumps(value).decode()


def _same(stored: Any, text: str | None) -> bool:
    if stored is None or text is None:
        return stored is None and text is None
    return bool(exact_json.loads(text.encode()) == stored)


def _feature(row: Any) -> Feature:
    access = {kind: frozenset(names) for kind, names in row.access.items()}
    return Feature(
        key=row.key,
        feature_id=row.feature_id,
        name=row.name,
        min_credits=to_credits(row.min_credits),
        strategy=row.strategy,
        parameters=row.parameters,
        access=FeatureAccess(**access),
        active=row.active,
        hold_ttl_seconds=row.hold_ttl_seconds,
        hold_limit_credits=_optional(row.hold_limit),
        margin_percent=row.margin_percent,
        refuse_unpriced=row.refuse_unpriced,
        outage_policy=OutagePolicy(row.outage_policy),
        outage_limit_credits=_optional(row.outage_limit),
        hold_sizing=HoldSizing(row.hold_sizing),
        hold_credits=_optional(row.hold_credits),
        hold_percentile=row.hold_percentile,
    )


def _optional(micros: int | None) -> Decimal | None:
    return to_credits(micros) if micros is not None else None


def _feature_row(feature: Feature) -> dict[str, Any]:
    content = feature_content(feature)
    copied = ("key", "name", "strategy", "active", "hold_ttl_seconds", "hold_sizing", "hold_percentile")
    more = ("margin_percent", "refuse_unpriced", "outage_policy")
    return {
        **{name: content[name] for name in (*copied, *more)},
        "feature_id": feature.feature_id,
        "parameters": _json(content["parameters"]),
        "access": _json(content["access"]),
        "min_credits": to_micros(feature.min_credits, param="min_credits"),
        "hold_limit": _micros(feature.hold_limit_credits, "hold_limit_credits"),
        "hold_credits": _micros(feature.hold_credits, "hold_credits"),
        "outage_limit": _micros(feature.outage_limit_credits, "outage_limit_credits"),
    }


def _micros(credits: Decimal | None, param: str) -> int | None:
    return to_micros(credits, param=param) if credits is not None else None


def _plan(row: Any) -> Plan:
    content = {"name": row.name, "margin_percent": row.margin_percent, "features": row.features, "grants": row.grants}
    return read_document(PlanDocument, content, name=f"plan {row.key}").plan(row.key)
