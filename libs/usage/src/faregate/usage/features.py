"""The catalogue of features: what operators defined in the database, over what the code brings along."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core import exact_json
from faregate.core.credits import to_credits, to_micros
from faregate.core.database import Database
from faregate.core.errors import InvalidError
from faregate.core.ids import check_external_id
from faregate.core.versions import VersionedCache
from faregate.usage.errors import FeatureInactiveError, FeatureNotAllowedError, UnknownFeatureError
from faregate.usage.factory import FeatureFactory
from faregate.usage.values import AccountFacts, Feature, FeatureAccess, FeatureRef

__all__ = ["Catalog", "FeatureCatalog", "require_access"]

_LOAD = """
select key, feature_id, name, min_credits, strategy, parameters, access, active, hold_ttl_seconds, hold_limit,
  margin_percent, refuse_unpriced
from faregate.feature
"""

_SAVE = """
insert into faregate.feature (key, feature_id, name, min_credits, strategy, parameters, access, active, hold_ttl_seconds,
  hold_limit, margin_percent, refuse_unpriced)
values (:key, cast(:feature_id as text), :name, :min_credits, :strategy, cast(:parameters as jsonb),
  cast(:access as jsonb), :active, cast(:hold_ttl_seconds as int), cast(:hold_limit as bigint),
  cast(:margin_percent as numeric), :refuse_unpriced)
on conflict (key) do update set feature_id = excluded.feature_id, name = excluded.name,
  min_credits = excluded.min_credits, strategy = excluded.strategy, parameters = excluded.parameters,
  access = excluded.access, active = excluded.active, hold_ttl_seconds = excluded.hold_ttl_seconds,
  hold_limit = excluded.hold_limit, margin_percent = excluded.margin_percent,
  refuse_unpriced = excluded.refuse_unpriced, updated_at = now()
"""

_DELETE = "delete from faregate.feature where key = :key returning key"


class Catalog:
    """All features at one moment, found by key or id. Pure."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self.features = features
        self._by_id = {feature.feature_id: feature for feature in features.values() if feature.feature_id is not None}

    def find(self, ref: FeatureRef) -> Feature:
        """Return the feature meant, active or not.

        Raises:
            UnknownFeatureError: none is.
            InvalidError: neither id nor value is given, or they mean two features.
        """
        if ref.id is None and ref.value is None:
            raise InvalidError(
                "feature_endpoint_id or feature_endpoint_value must name the feature", param="feature_endpoint_value"
            )
        by_id = self._lookup(ref.id, "feature_endpoint_id") if ref.id is not None else None
        by_value = self._lookup(ref.value, "feature_endpoint_value") if ref.value is not None else None
        if by_id is not None and by_value is not None and by_id.key != by_value.key:
            raise InvalidError(
                f"feature_endpoint_id means {by_id.key!r}, feature_endpoint_value means {by_value.key!r}; give one",
                param="feature_endpoint_value",
            )
        return by_id or by_value or self._lookup("", "feature_endpoint_value")

    def get(self, key: str) -> Feature:
        """Return the feature of that key (or id), active or not, or raise `UnknownFeatureError`."""
        return self._lookup(key, "feature_key")

    def names_of(self, feature_id: str | None, key: str | None) -> tuple[str | None, str | None]:
        """Return id and key of the feature that has this key, or this id; as given, where none has."""
        found = self.features.get(key or "") or self._by_id.get(feature_id or "") or self.features.get(feature_id or "")
        return (found.feature_id or feature_id, found.key) if found is not None else (feature_id, key)

    def _lookup(self, name: str, param: str) -> Feature:
        found = self._by_id.get(name) or self.features.get(name)
        if found is None:
            raise UnknownFeatureError(name, self.features, param=param)
        return found


class FeatureCatalog:
    """Reads and changes the catalogue; reads come from memory and are at most half a second old."""

    def __init__(self, database: Database, factory: FeatureFactory) -> None:
        self._database = database
        self._factory = factory
        self._cache: VersionedCache[Catalog] = VersionedCache(database, "features", self._load)

    async def current(self) -> Catalog:
        """Return the catalogue."""
        return await self._cache.get()

    async def complete_names(
        self, names: Sequence[tuple[str | None, str | None]]
    ) -> Sequence[tuple[str | None, str | None]]:
        """Return each pair of id and key as the catalogue has it; unknown ones as they are."""
        catalog = await self.current()
        return [catalog.names_of(*pair) for pair in names]

    async def save(self, feature: Feature) -> Feature:
        """Check and store a feature; from the commit on it counts for every start, within a second everywhere.

        Raises:
            InvalidError: a field, or a parameter of the strategy, makes no sense.
        """
        check_external_id(feature.key, param="key")
        parameters = self._factory.strategy(feature.strategy).check(feature.parameters)
        async with self._database.transaction() as session:
            await self._check_id(session, feature)
            await self._database.rows(session, _SAVE, **_columns(feature, parameters))
            await self._cache.changed(session)
        self._cache.forget()
        return (await self.current()).get(feature.key)

    async def delete(self, key: str) -> None:
        """Forget an operator's definition; one that the code brings along is then in force again.

        Raises:
            UnknownFeatureError: there is none.
        """
        async with self._database.transaction() as session:
            if not await self._database.rows(session, _DELETE, key=key):
                raise UnknownFeatureError(key, (await self.current()).features)
            await self._cache.changed(session)
        self._cache.forget()

    async def _check_id(self, session: AsyncSession, feature: Feature) -> None:
        if feature.feature_id is None:
            return
        check_external_id(feature.feature_id, param="id")
        taken = "select key from faregate.feature where feature_id = :id and key <> :key"
        rows = await self._database.rows(session, taken, id=feature.feature_id, key=feature.key)
        if rows:
            raise InvalidError(f"id {feature.feature_id!r} belongs to the feature {rows[0].key!r}", param="id")

    async def _load(self, session: AsyncSession) -> Catalog:
        features = {name: Feature(key=name, strategy=name, name=_title(name)) for name in self._factory.features}
        for row in await self._database.rows(session, _LOAD):
            features[row.key] = _feature(row)
        return Catalog(features)


def require_access(feature: Feature, facts: AccountFacts) -> None:
    """Raise unless the feature is active and its access rule lets this user in."""
    if not feature.active:
        raise FeatureInactiveError(feature.key)
    access = feature.access
    if access.is_open or facts.user_id in access.users:
        return
    if facts.plan in access.plans or facts.organization_id in access.organizations:
        return
    raise FeatureNotAllowedError(feature.key)


def _title(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()


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
        hold_limit_credits=to_credits(row.hold_limit) if row.hold_limit is not None else None,
        margin_percent=row.margin_percent,
        refuse_unpriced=row.refuse_unpriced,
    )


def _columns(feature: Feature, parameters: Mapping[str, Any]) -> dict[str, Any]:
    access = {
        "plans": sorted(feature.access.plans),
        "organizations": sorted(feature.access.organizations),
        "users": sorted(feature.access.users),
    }
    limit = feature.hold_limit_credits
    return {
        "key": feature.key,
        "feature_id": feature.feature_id,
        "name": feature.name or _title(feature.key),
        "min_credits": to_micros(feature.min_credits, param="min_credits"),
        "strategy": feature.strategy,
        "parameters": exact_json.dumps(dict(parameters)).decode(),
        "access": exact_json.dumps(access).decode(),
        "active": feature.active,
        "hold_ttl_seconds": feature.hold_ttl_seconds,
        "hold_limit": to_micros(limit, param="hold_limit_credits") if limit is not None else None,
        "margin_percent": feature.margin_percent,
        "refuse_unpriced": feature.refuse_unpriced,
    }
