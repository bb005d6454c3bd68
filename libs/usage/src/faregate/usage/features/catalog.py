"""Catalogue of features and plans.

Operators' definitions in the database override those that the code brings along.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import InvalidError
from faregate.usage.errors import FeatureInactiveError, FeatureNotAllowedError, UnknownPlanError, unknown_feature
from faregate.usage.features.documents import FeatureDocument, feature_content, read_document
from faregate.usage.features.plans import NO_PLAN, Plan, check_plan, on_plan
from faregate.usage.features.repository import Definition, DefinitionRepository
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import AccountFacts, Feature, FeatureAccess, FeatureRef, HoldSizing
from faregate.wire.ids import check_external_id

__all__ = ["Catalog", "FeatureCatalog", "require_access"]


class Catalog:
    """All features and plans at one moment, found by key or id. Pure.

    `retired` are features that operators have deleted: they cannot be started, but what has begun is settled by them.
    """

    def __init__(
        self,
        features: Mapping[str, Feature],
        *,
        plans: Mapping[str, Plan] | None = None,
        retired: Mapping[str, Feature] | None = None,
    ) -> None:
        self.features = features
        self.plans = plans or {}
        self.plans_change_prices = any(plan.changes_prices for plan in self.plans.values())
        self.sized_by_history = [
            (feature.key, feature.hold_percentile)
            for feature in features.values()
            if feature.hold_sizing is HoldSizing.PERCENTILE and feature.hold_percentile is not None
        ]
        self._retired = retired or {}
        self._by_id = {feature.feature_id: feature for feature in features.values() if feature.feature_id is not None}

    def knows(self, ref: FeatureRef) -> bool:
        """Return whether id and value, where they are given, are those of features."""
        return all(name is None or name in self.features or name in self._by_id for name in (ref.id, ref.value))

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

    def find_started(self, ref: FeatureRef, started_key: str) -> Feature:
        """Return the feature of a use that has begun as `started_key`, or the other one that `ref` means.

        What has begun is settled: deleting the feature meanwhile, or giving it another id, changes nothing. An id that means
        nothing (any more) is no other feature.

        Raises:
            UnknownFeatureError: `ref.value` is the key of no feature and not that of the use.
            InvalidError: neither id nor value is given, or they mean two features.
        """
        by_id = self._by_id.get(ref.id or "") or self.features.get(ref.id or "")
        if ref.value not in {None, started_key} or (ref.id is None and ref.value is None):
            return self.find(ref)
        if by_id is not None and by_id.key != started_key:
            return self.find(ref)
        return self.settled_feature(started_key)

    def settled_feature(self, key: str) -> Feature:
        """Return the feature of a settled use, deleted or not; one that nobody knows any more is priced by its tokens."""
        return self.features.get(key) or self._retired.get(key) or Feature(key=key, strategy="token_priced")

    def get(self, key: str) -> Feature:
        """Return the feature of that key (or id), active or not, or raise `UnknownFeatureError`."""
        return self._lookup(key, "feature_key")

    def names_of(self, feature_id: str | None, key: str | None) -> tuple[str | None, str | None]:
        """Return id and key of the feature that has this key, or this id; as given, where none has."""
        found = self.features.get(key or "") or self._by_id.get(feature_id or "") or self.features.get(feature_id or "")
        return (found.feature_id or feature_id, found.key) if found is not None else (feature_id, key)

    def plan(self, key: str | None) -> Plan:
        """Return the plan of that key; an undefined one (or None) includes nothing and changes nothing."""
        return self.plans.get(key or "", NO_PLAN)

    def on_plan(self, feature: Feature, key: str | None) -> Feature:
        """Return the feature on the terms of a plan."""
        return on_plan(feature, self.plan(key))

    def _lookup(self, name: str, param: str) -> Feature:
        found = self._by_id.get(name) or self.features.get(name)
        if found is None:
            raise unknown_feature(name, self.features, param=param)
        return found


class FeatureCatalog:
    """Reads and changes the catalogue; reads come from memory and are at most half a second old."""

    def __init__(self, database: Database, factory: FeatureFactory, repository: DefinitionRepository) -> None:
        self._database = database
        self._factory = factory
        self._repository = repository
        self._cache: VersionedCache[Catalog] = VersionedCache(database, "features", self._load)

    async def current(self) -> Catalog:
        """Return the catalogue."""
        return await self._cache.get()

    async def newest(self) -> Catalog:
        """Return the catalogue of now, not of half a second ago; this asks the database."""
        return await self._cache.newest()

    async def complete_names(
        self, names: Sequence[tuple[str | None, str | None]]
    ) -> Sequence[tuple[str | None, str | None]]:
        """Return each pair of id and key as the catalogue has it; unknown ones as they are."""
        catalog = await self.current()
        return [catalog.names_of(*pair) for pair in names]

    def check(self, feature: Feature) -> Feature:
        """Return a feature with its strategy's parameters in their final form.

        Raises:
            InvalidError: a field, or a parameter of the strategy, makes no sense.
        """
        check_external_id(feature.key, param="key")
        if feature.feature_id is not None:
            check_external_id(feature.feature_id, param="id")
        read_document(FeatureDocument, feature_content(feature), name=f"feature {feature.key}")
        parameters = self._factory.strategy(feature.strategy).check(feature.parameters)
        return replace(feature, name=feature.name or _title(feature.key), parameters=parameters)

    async def save(self, feature: Feature, *, actor: str | None = None) -> Feature:
        """Check and store a feature; from the commit on it counts for every start, within a second everywhere.

        Raises:
            InvalidError: a field, or a parameter of the strategy, makes no sense.
        """
        await self.save_all([feature], [], actor=actor)
        return (await self.current()).get(feature.key)

    async def save_plan(self, plan: Plan, *, actor: str | None = None) -> Plan:
        """Check and store a plan; it counts for every start at once, its grants for those who subscribe from now on.

        Raises:
            InvalidError: it names a feature that does not exist, or a grant that makes no sense.
        """
        await self.save_all([], [plan], actor=actor)
        return (await self.current()).plan(plan.key)

    async def save_all(self, features: Iterable[Feature], plans: Iterable[Plan], *, actor: str | None = None) -> None:
        """Check and store features, then plans, all or none of them."""
        checked = [self.check(feature) for feature in features]
        async with self._database.transaction() as session:
            for feature in checked:
                await self._check_id(session, feature)
                await self._repository.save_feature(session, feature, actor=actor)
            known = (await self._load(session)).features
            for plan in plans:
                check_external_id(plan.key, param="key")
                check_plan(plan, known)
                await self._repository.save_plan(session, plan, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()

    async def delete(self, key: str, *, actor: str | None = None) -> None:
        """Forget an operator's definition; one that the code brings along is then in force again.

        Raises:
            UnknownFeatureError: there is none.
        """
        async with self._database.transaction() as session:
            if not await self._repository.retire_feature(session, key, actor=actor):
                raise unknown_feature(key, (await self.current()).features)
            await self._cache.changed(session)
        self._cache.forget()

    async def delete_plan(self, key: str, *, actor: str | None = None) -> None:
        """Forget a plan; whoever is on it keeps the grants already made.

        Raises:
            UnknownPlanError: there is none.
        """
        async with self._database.transaction() as session:
            if not await self._repository.delete_plan(session, key, actor=actor):
                raise UnknownPlanError(key, (await self.current()).plans)
            await self._cache.changed(session)
        self._cache.forget()

    async def history(self, kind: str, key: str) -> list[Definition]:
        """Return the versions of one feature or plan (`kind`), newest first (at most 100)."""
        async with self._database.transaction(read_only=True) as session:
            return list(await self._repository.history(session, kind, key))

    async def _check_id(self, session: AsyncSession, feature: Feature) -> None:
        if feature.feature_id is None:
            return
        owner = await self._repository.id_owner(session, feature)
        if owner is not None:
            raise InvalidError(
                f"id {feature.feature_id!r} belongs to the feature {owner!r}; choose another", param="id"
            )

    async def _load(self, session: AsyncSession) -> Catalog:
        built_in = {name: Feature(key=name, strategy=name, name=_title(name)) for name in self._factory.features}
        live, retired = await self._repository.features(session)
        plans = await self._repository.plans(session)
        return Catalog(
            built_in | {feature.key: feature for feature in live},
            plans={plan.key: plan for plan in plans},
            retired={feature.key: feature for feature in retired},
        )


def require_access(feature: Feature, facts: AccountFacts, plan: Plan = NO_PLAN) -> None:
    """Raise unless the feature is active and its access rule, or the user's plan, lets this user in."""
    if not feature.active:
        raise FeatureInactiveError(feature.key)
    access = feature.access
    if access.is_open or facts.user_id in access.users or feature.key in plan.features:
        return
    if facts.plan in access.plans or facts.organization_id in access.organizations:
        return
    raise FeatureNotAllowedError(
        feature.key, open_to=_groups(access), plan=facts.plan, organization_id=facts.organization_id
    )


def _groups(access: FeatureAccess) -> list[str]:
    """Return in words whom a rule lets in; only plans by name, since the others are other customers."""
    plans = ", ".join(repr(plan) for plan in sorted(access.plans)[:_PLANS_SHOWN])
    more = ", …" if len(access.plans) > _PLANS_SHOWN else ""
    groups = {
        f"users of the plans {plans}{more}": access.plans,
        "members of certain organisations": access.organizations,
        "certain users": access.users,
    }
    return [words for words, members in groups.items() if members]


_PLANS_SHOWN = 5


def _title(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()
