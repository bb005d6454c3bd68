"""Features of the facade: what is sold, at which price."""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from faregate.core.errors import ConfigurationError
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.documents import FeatureDocument, feature_content, read_document
from faregate.usage.values import Feature
from faregate.wire import exact_json
from faregate.wire.errors import FaregateError

__all__ = ["Features", "feature_of"]

log = logging.getLogger("faregate.host")


class Features:
    """The features that are sold. A change counts for every start within a second, in all processes."""

    def __init__(self, catalog: FeatureCatalog) -> None:
        self._catalog = catalog

    async def define(
        self,
        key: str,
        *,
        strategy: str,
        parameters: Mapping[str, Any] | None = None,
        min_credits: Decimal | int = 0,
        actor: str | None = None,
        **fields: Any,
    ) -> Feature:
        """Define a feature, or replace its definition.

        Args:
            strategy: the name of its pricing strategy: a built-in one (`fixed`, `token_priced`, `per_unit`, …) or the host's.
            parameters: of the strategy, such as `{"credits": 5}` for `fixed`.
            min_credits: what a wallet must have free to start it.
            fields: further fields of the definition, as in `PUT /api/features/{key}`: `name`, `access`, `active`,
                `hold_sizing`, `margin_percent`, …

        Raises:
            InvalidError: a field or a parameter is not valid; `param` names it.
        """
        feature = feature_of(key, strategy=strategy, parameters=parameters, min_credits=min_credits, **fields)
        return await self._catalog.save(feature, actor=actor)

    async def introduce(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Define those features that the database does not have; log a warning for each that it has otherwise.

        Raises:
            ConfigurationError: a definition cannot be used; the text names the feature and the field.
        """
        known = {feature.key: feature for feature in await self.list()}
        for key, definition in definitions.items():
            feature = self._checked(key, definition)
            if key not in known:
                await self._catalog.save(feature)
            elif _written(feature) != _written(known[key]):
                log.warning(
                    "the feature %s stays as the database has it, which differs from `features`; change it by "
                    "`features.define`, or bring `features` up to date",
                    key,
                )

    async def get(self, key: str) -> Feature:
        """Return a feature by its key or id, or raise `UnknownFeatureError`, which lists similar names."""
        return (await self._catalog.current()).get(key)

    async def list(self) -> Sequence[Feature]:
        """Return all features, by key."""
        return sorted((await self._catalog.current()).features.values(), key=lambda feature: feature.key)

    async def delete(self, key: str, *, actor: str | None = None) -> None:
        """Delete a definition; uses that have begun are settled by it. Raises `UnknownFeatureError` if there is none."""
        await self._catalog.delete(key, actor=actor)

    def _checked(self, key: str, definition: Mapping[str, Any]) -> Feature:
        try:
            return self._catalog.check(feature_of(key, **definition))
        except TypeError as error:  # no mapping, or an argument is missing
            raise ConfigurationError(f"features: {key}: {error}") from None
        except FaregateError as error:
            raise ConfigurationError(f"features: {key}: {error.detail}") from None


def _written(feature: Feature) -> bytes:
    return exact_json.dumps(feature_content(feature))


def feature_of(
    key: str,
    *,
    strategy: str,
    parameters: Mapping[str, Any] | None = None,
    min_credits: Decimal | int = 0,
    **fields: Any,
) -> Feature:
    """Return a feature of these fields; its strategy has not checked the parameters yet.

    Raises:
        InvalidError: a field is not valid; `param` names it.
    """
    given = {"strategy": strategy, "parameters": dict(parameters or {}), "min_credits": min_credits, **fields}
    return read_document(FeatureDocument, given, name=f"feature {key}").feature(key)
