"""Request bodies of the credits process.

HTTP and queues take the same bodies.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, Field, ValidationError, model_validator

from faregate.core.errors import InvalidError, MalformedError
from faregate.core.values.fields import AtMost, Count, Credits, ExternalId, LooseBody, Metadata, Note
from faregate.core.values.json_items import ITEMS_LIMIT, load_items
from faregate.usage.credits_process.count_fields import CarefulBody, LineFields
from faregate.usage.credits_process.provider_lines import native_usage, reduced_usage
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest, StartRequest
from faregate.wire.count_names import COUNT_NAMES
from faregate.wire.ids import check_user_id
from faregate.wire.provider_usage import balanced
from faregate.wire.rates import are_inconsistent

BodyType = TypeVar("BodyType", bound=BaseModel)

__all__ = [
    "EndBody",
    "EndMultimodelBody",
    "ExtendBody",
    "StartBody",
    "UsageBody",
    "UseQuoteBody",
    "VoidBody",
    "bodies_in",
    "validated",
]

LINES_LIMIT = 100


class UsageBody(LineFields):
    """What one model did: by its counts, by what the provider reported (`usage`), or as a `quantity` of some `unit`."""

    strict: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check_one_form(self) -> "UsageBody":
        if self.ai_model is None and self.unit is None and self.usage is None:
            raise ValueError("ai_model is required (or unit and quantity, or a usage that names the model)")
        if (self.unit is None) is not (self.quantity is None):
            raise ValueError("quantity and unit belong together; give both or neither")
        if self.usage is not None:
            self._check_beside_usage()
            self._native()
        elif self.unit is None and not self.model_fields_set & _SAYING:
            raise ValueError(
                "a line of a model needs its counts; send input_tokens and output_tokens, 0 if none were used"
            )
        return self

    def usage_line(self) -> ModelUsage:
        """Return the line in its final form."""
        return self._counted() if self.usage is None else self._native()

    def _check_beside_usage(self) -> None:
        counted = [name for name in self.counts() if name.endswith("tokens")]
        if self.unit is not None or self.total_tokens is not None or counted:
            raise ValueError("give usage as the provider reported it, or counts, not both")

    def _counted(self) -> ModelUsage:
        counts = self.counts()
        tokens, differs = balanced({name: count for name, count in counts.items() if count}, self.total_tokens)
        return ModelUsage(
            model=self.ai_model,
            provider=self.provider,
            tokens=tokens or ({"input_tokens": 0} if counts else {}),
            quantity=self.quantity,
            unit=self.unit,
            service_tier=self.service_tier,
            raw={**counts, "total_tokens": self.total_tokens} if differs else None,
            inconsistent=differs or are_inconsistent(tokens),
            reported_cost_usd=self.reported_cost_usd,
        )

    def _native(self) -> ModelUsage:
        try:
            line = native_usage(
                self.usage or {}, model=self.ai_model, provider=self.provider, service_tier=self.service_tier
            )
        except InvalidError as error:
            raise ValueError(error.detail) from None
        beside = {name: count for name, count in self.counts().items() if count}
        cost = self.reported_cost_usd if self.reported_cost_usd is not None else line.reported_cost_usd
        return replace(line, tokens={**line.tokens, **beside}, reported_cost_usd=cost)


_SAYING = frozenset({*COUNT_NAMES, "total_tokens", "reported_cost_usd"})
"""The fields of which one is enough to say what a model did."""


class FeatureBody(CarefulBody):
    """Who uses what; the feature by id, by value, or both."""

    user_id: ExternalId
    feature_endpoint_id: ExternalId | None = None
    feature_endpoint_value: ExternalId | None = None

    @model_validator(mode="after")
    def _check_names(self) -> "FeatureBody":
        if self.feature_endpoint_id is None and self.feature_endpoint_value is None:
            raise ValueError("feature_endpoint_id or feature_endpoint_value is required")
        check_user_id(self.user_id)
        return self

    @property
    def feature(self) -> FeatureRef:
        """How the caller names the feature."""
        return FeatureRef(self.feature_endpoint_id, self.feature_endpoint_value)


class StartBody(FeatureBody):
    """`POST /api/credits-process/start`."""

    elsewhere: ClassVar[str] = "estimated_usages"

    user_email: Note | None = None
    organization_id: ExternalId | None = None
    usage_key: ExternalId | None = None
    estimated_usages: Annotated[list[UsageBody], AtMost(LINES_LIMIT)] = Field(default_factory=list[UsageBody])
    estimated_credits: Annotated[Credits, Field(ge=0)] | None = None
    ttl_seconds: Annotated[Count, Field(ge=1, le=86_400)] | None = None
    metadata: Metadata | None = None

    def request(self, *, spender: str | None = None) -> StartRequest:
        """Return the wish in its final form, asked for with the API key `spender`."""
        return StartRequest(
            user_id=self.user_id,
            feature=self.feature,
            usage_key=self.usage_key,
            organization_id=self.organization_id,
            user_email=self.user_email,
            estimated_usages=tuple(body.usage_line() for body in self.estimated_usages),
            estimated_credits=self.estimated_credits,
            ttl_seconds=self.ttl_seconds,
            metadata=self.metadata,
            spender=spender,
        )


class UseQuoteBody(FeatureBody):
    """`POST /api/credits-process/quote`: the estimate of a start, and the usage of a settlement."""

    elsewhere: ClassVar[str] = "usages"

    organization_id: ExternalId | None = None
    usages: Annotated[list[UsageBody], AtMost(LINES_LIMIT)] = Field(default_factory=list[UsageBody])
    estimated_usages: Annotated[list[UsageBody], AtMost(LINES_LIMIT)] = Field(default_factory=list[UsageBody])
    estimated_credits: Annotated[Credits, Field(ge=0)] | None = None
    metadata: Metadata | None = None

    def request(self) -> StartRequest:
        """Return the start in its final form."""
        return StartRequest(
            user_id=self.user_id,
            feature=self.feature,
            organization_id=self.organization_id,
            estimated_usages=tuple(body.usage_line() for body in self.estimated_usages),
            estimated_credits=self.estimated_credits,
            metadata=self.metadata,
        )

    def used(self) -> tuple[ModelUsage, ...]:
        """Return the usage that is to be priced."""
        return tuple(body.usage_line() for body in self.usages)


class SettlementBody(FeatureBody):
    """What both `end` calls share."""

    usage_key: ExternalId | None = None
    organization_id: ExternalId | None = None
    duration: Count | None = Field(default=None, description="milliseconds")
    metadata: Metadata | None = None

    def usage_bodies(self) -> Sequence[UsageBody]:
        """Return the lines."""
        raise NotImplementedError

    def message(self, usage_key: str) -> dict[str, Any]:
        """Return the body as it may lie on a queue: of what providers reported only what is read of it."""
        content: dict[str, Any] = self.model_dump(exclude_none=True, exclude_unset=True)
        content["usage_key"] = usage_key
        for line in (content, *content.get("usages", ())):
            if "usage" in line:
                line["usage"] = reduced_usage(line["usage"])
        return content

    def request(self, usage_key: str, *, keyless: bool = False, spender: str | None = None) -> SettleRequest:
        """Return the settlement in its final form, under this key."""
        return SettleRequest(
            usage_key=usage_key,
            user_id=self.user_id,
            feature=self.feature,
            usages=tuple(body.usage_line() for body in self.usage_bodies()),
            organization_id=self.organization_id,
            duration_ms=self.duration,
            metadata=self.metadata,
            keyless=keyless,
            spender=spender,
        )


class EndMultimodelBody(SettlementBody):
    """`POST /api/credits-process/end-multimodel` and `credits_process_end_multimodel_queue`."""

    elsewhere: ClassVar[str] = "usages"

    usages: Annotated[list[UsageBody], AtMost(LINES_LIMIT)]

    def usage_bodies(self) -> Sequence[UsageBody]:
        return self.usages


_LINE_FIELDS = frozenset(LineFields.model_fields)


class EndBody(LineFields, SettlementBody):
    """`POST /api/credits-process/end` and `credits_process_end_queue`: one model, flat."""

    @model_validator(mode="after")
    def _check_line(self) -> "EndBody":
        self.usage_bodies()
        return self

    def usage_bodies(self) -> Sequence[UsageBody]:
        line = {name: getattr(self, name) for name in self.model_fields_set & _LINE_FIELDS}
        try:
            return [UsageBody.model_validate(line)]
        except ValidationError as error:
            raise ValueError(error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")) from None


class VoidBody(LooseBody):
    """`POST /api/credits-process/void`."""

    usage_key: ExternalId
    user_id: ExternalId
    reason: Note | None = None


class ExtendBody(LooseBody):
    """`POST /api/credits-process/extend`."""

    usage_key: ExternalId
    user_id: ExternalId
    ttl_seconds: Annotated[Count, Field(ge=1, le=86_400)]


_GZIP = b"\x1f\x8b"


def bodies_in(data: bytes, *, mend: bool = False) -> list[Any]:
    """Return the JSON objects of a message: one object, or an array of at most 1,000 of them.

    An item of an array that cannot be read is an `Unreadable` in its place. With `mend` unreadable characters become
    U+FFFD in all its texts, not in free fields only.

    Raises:
        MalformedError: not JSON, or neither object nor array.
        InvalidError: too many items.
    """
    if data.startswith(_GZIP):
        raise MalformedError("the message is compressed with gzip; publish its JSON as it is")
    value = load_items(data, mend=mend)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise MalformedError("the message must be a JSON object or an array of objects")
    items = cast("list[Any]", value)
    if len(items) > ITEMS_LIMIT:
        raise InvalidError(f"an array may hold {ITEMS_LIMIT} items at most, not {len(items)}")
    return items


def validated(kind: type[BodyType], data: Any) -> BodyType:
    """Return `data` as a body of this kind, or raise `InvalidError` naming the first wrong field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        param = ".".join(map(str, problem["loc"])) or "body"
        raise InvalidError(f"{param} is wrong: {problem['msg'].removeprefix('Value error, ')}", param=param) from None
