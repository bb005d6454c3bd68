"""Catalog of ingest rules, with their versions."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.usage.errors import UnknownIngestRuleError
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.repository import Definition, DefinitionRepository
from faregate.usage.foreign.rules import IngestRule, IngestRuleDocument
from faregate.usage.foreign.sql import RULES
from faregate.wire.ids import check_external_id

__all__ = ["IngestRules"]

_KIND = "ingest_rule"


class IngestRules:
    """Declares and finds ingest rules; a change applies in every process within a second."""

    def __init__(self, database: Database, definitions: DefinitionRepository, features: FeatureCatalog) -> None:
        self._database = database
        self._definitions = definitions
        self._features = features
        self._cache: VersionedCache[Mapping[str, IngestRuleDocument]] = VersionedCache(
            database, "ingest_rules", self._load
        )
        self._compiled: tuple[Mapping[str, IngestRuleDocument], Sequence[IngestRule]] = ({}, ())

    async def all(self) -> Mapping[str, IngestRuleDocument]:
        """Return all declared rules by name."""
        return await self._cache.get()

    async def get(self, name: str) -> IngestRuleDocument:
        """Return one declared rule, or raise `UnknownIngestRuleError`."""
        declared = await self.all()
        if name not in declared:
            raise UnknownIngestRuleError(name, declared)
        return declared[name]

    async def in_order(self) -> Sequence[IngestRule]:
        """Return the rules in the order in which they are tried: by position, then by name."""
        declared = await self.all()
        if self._compiled[0] is not declared:
            rules = [document.rule(name) for name, document in declared.items()]
            self._compiled = declared, sorted(rules, key=lambda rule: (rule.position, rule.name))
        return self._compiled[1]

    async def check(self, name: str, document: IngestRuleDocument) -> None:
        """Check what the document cannot check itself.

        Raises:
            InvalidError: the name is no id.
            UnknownFeatureError: no feature has its `feature_key`.
        """
        check_external_id(name, param="name")
        if document.feature_key is not None:
            (await self._features.current()).get(document.feature_key)

    async def save(self, name: str, document: IngestRuleDocument, *, actor: str | None = None) -> None:
        """Check and store a rule.

        Raises:
            InvalidError, UnknownFeatureError: it makes no sense.
        """
        await self.check(name, document)
        async with self._database.transaction() as session:
            content = document.model_dump(exclude_unset=True)
            await self._definitions.note(session, _KIND, name, content, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()

    async def delete(self, name: str, *, actor: str | None = None) -> None:
        """Remove a rule; what was recorded or charged by it stays.

        Raises:
            UnknownIngestRuleError: there is none.
        """
        await self.get(name)
        async with self._database.transaction() as session:
            await self._definitions.note(session, _KIND, name, None, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()

    async def history(self, name: str) -> Sequence[Definition]:
        """Return the versions of a rule, newest first (at most 100)."""
        async with self._database.transaction(read_only=True) as session:
            return await self._definitions.history(session, _KIND, name)

    async def _load(self, session: AsyncSession) -> Mapping[str, IngestRuleDocument]:
        rows = await self._database.rows(session, RULES)
        return {row.key: IngestRuleDocument.of(row.content) for row in rows}
