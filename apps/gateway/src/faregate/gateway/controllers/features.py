"""Controller of `/api/features`."""

from faregate.core.errors import InvalidError
from faregate.gateway.http.operation import Call, Controller, Page, link, operation
from faregate.gateway.schemas.features import DeletedAnswer, FeatureAnswer, feature_answer
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownFeatureError, UnknownStrategyError
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.documents import FeatureDocument

__all__ = ["FeaturesController"]


class FeaturesController(Controller):
    """Features over HTTP."""

    def __init__(self, catalog: FeatureCatalog) -> None:
        self._catalog = catalog

    @operation("GET", "/api/features", scope=Scope.USAGE_READ, answer=list[FeatureAnswer])
    async def list_features(self) -> Page:
        """List all features."""
        features = (await self._catalog.current()).features
        return Page([feature_answer(features[key]) for key in sorted(features)])

    @operation(
        "GET", "/api/features/{key}", scope=Scope.USAGE_READ, answer=FeatureAnswer, errors=(UnknownFeatureError,)
    )
    async def get_feature(self, key: str) -> FeatureAnswer:
        """Return one feature, by key or id."""
        return feature_answer((await self._catalog.current()).get(key))

    @operation(
        "PUT",
        "/api/features/{key}",
        scope=Scope.FEATURES_WRITE,
        answer=FeatureAnswer,
        errors=(UnknownStrategyError,),
        links={
            "read": link("features.get_feature", path={"key": "key"}),
            "delete": link("features.delete_feature", path={"key": "key"}),
            "start": link("credits-process.start", body={"feature_endpoint_value": "key"}),
            "record": link("usage.record", body={"feature_key": "key"}),
        },
        rehearsable=True,
    )
    async def put_feature(self, call: Call, key: str, body: FeatureDocument) -> FeatureAnswer:
        """Define a feature; the definition applies from the next start on."""
        if body.key is not None and body.key != key:
            raise InvalidError(f"key must be {key!r}, as in the path, or left out", param="key")
        return feature_answer(await self._catalog.save(body.feature(key), actor=call.principal.id))

    @operation(
        "DELETE",
        "/api/features/{key}",
        scope=Scope.FEATURES_WRITE,
        answer=DeletedAnswer,
        errors=(UnknownFeatureError,),
        rehearsable=True,
    )
    async def delete_feature(self, call: Call, key: str) -> DeletedAnswer:
        """Delete the definition of a feature."""
        await self._catalog.delete(key, actor=call.principal.id)
        return DeletedAnswer(key=key)
