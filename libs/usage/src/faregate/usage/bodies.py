"""The bodies of the credits process, the same by HTTP and by queue, and what they mean."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from pydantic import AliasChoices, Field, ValidationError, model_validator

from faregate.core import exact_json
from faregate.core.errors import InvalidError, MalformedError
from faregate.core.fields import Count, Credits, ExternalId, JsonObject, LooseBody, Metadata, ModelName, Note, Text
from faregate.core.ids import check_user_id
from faregate.usage.native import native_usage, reduced_usage
from faregate.usage.rates import are_inconsistent
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest, StartRequest

__all__ = ["EndBody", "EndMultimodelBody", "ExtendBody", "StartBody", "UsageBody", "VoidBody", "bodies_in", "validated"]

TOKEN_NAMES = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "cache_audio_read_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "input_video_tokens",
    "input_tool_tokens",
    "audio_seconds",
    "input_characters",
    "input_document_pages",
    "web_searches",
    "code_executions",
    "rerank_searches",
)
"""The counts that a line may carry, by canonical name; `input_tokens` and `output_tokens` are totals."""

LINES_LIMIT = 100
ITEMS_LIMIT = 1000


class UsageBody(LooseBody):
    """What one model did: by its counts, by what the provider reported (`usage`), or as a `quantity` of some `unit`."""

    ai_model: ModelName | None = None
    provider: ModelName | None = None
    service_tier: ModelName | None = None
    usage: JsonObject | None = Field(
        default=None,
        description="the provider's usage object, or its whole response, as it came (OpenAI, Anthropic, Gemini, Bedrock, "
        "LiteLLM, LangChain, pydantic-ai, OpenTelemetry)",
    )
    quantity: Annotated[Credits, Field(ge=0)] | None = Field(
        default=None, description="of `unit`, for features that sell it"
    )
    unit: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["images"])] | None = None
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_5m_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    output_reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    cache_audio_read_tokens: Count = 0
    input_image_tokens: Count = 0
    output_image_tokens: Count = 0
    input_video_tokens: Count = 0
    input_tool_tokens: Count = 0
    audio_seconds: Count = 0
    input_characters: Count = 0
    input_document_pages: Count = 0
    web_searches: Count = 0
    code_executions: Count = 0
    rerank_searches: Count = 0

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_counts(cls, data: Any) -> Any:
        if isinstance(data, dict):
            names = cast("dict[str, Any]", data)
            unknown = [name for name in names if name.endswith("tokens") and name not in TOKEN_NAMES]
            if unknown:
                raise ValueError(f"unknown count {unknown[0]}; known are {', '.join(TOKEN_NAMES)}")
        return cast("Any", data)

    @model_validator(mode="after")
    def _check_one_form(self) -> "UsageBody":
        if self.ai_model is None and self.unit is None and self.usage is None:
            raise ValueError("ai_model is required (or unit and quantity, or a usage that names the model)")
        if (self.unit is None) is not (self.quantity is None):
            raise ValueError("quantity and unit belong together; give both or neither")
        if self.usage is not None and (self.unit is not None or self._counts()):
            raise ValueError("give usage as the provider reported it, or counts, not both")
        if self.usage is not None:
            self._native()
        return self

    def usage_line(self) -> ModelUsage:
        """Return the line in its final form: counts above 0 only."""
        if self.usage is not None:
            return self._native()
        counts = self._counts()
        return ModelUsage(
            model=self.ai_model,
            provider=self.provider,
            tokens=counts,
            quantity=self.quantity,
            unit=self.unit,
            service_tier=self.service_tier,
            inconsistent=are_inconsistent(counts),
        )

    def _counts(self) -> dict[str, int]:
        return {name: count for name in TOKEN_NAMES if (count := getattr(self, name))}

    def _native(self) -> ModelUsage:
        try:
            return native_usage(
                self.usage or {}, model=self.ai_model, provider=self.provider, service_tier=self.service_tier
            )
        except InvalidError as error:
            raise ValueError(error.detail) from None


class FeatureBody(LooseBody):
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

    user_email: Note | None = None
    organization_id: ExternalId | None = None
    usage_key: ExternalId | None = None
    estimated_usages: Annotated[list[UsageBody], Field(max_length=LINES_LIMIT)] = Field(default_factory=list[UsageBody])
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
        content: dict[str, Any] = self.model_dump(exclude_none=True, exclude_defaults=True)
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

    usages: Annotated[list[UsageBody], Field(max_length=LINES_LIMIT)]

    def usage_bodies(self) -> Sequence[UsageBody]:
        return self.usages


class EndBody(SettlementBody):
    """`POST /api/credits-process/end` and `credits_process_end_queue`: one model, flat."""

    ai_model: ModelName | None = None
    provider: ModelName | None = None
    service_tier: ModelName | None = None
    usage: JsonObject | None = None
    input_tokens: Count = Field(default=0, validation_alias=AliasChoices("input_tokens", "input_token"))
    output_tokens: Count = Field(default=0, validation_alias=AliasChoices("output_tokens", "output_token"))
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    output_reasoning_tokens: Count = 0

    @model_validator(mode="after")
    def _check_line(self) -> "EndBody":
        self.usage_bodies()
        return self

    def usage_bodies(self) -> Sequence[UsageBody]:
        line = {name: value for name in _FLAT if (value := getattr(self, name))}
        try:
            return [UsageBody.model_validate(line)]
        except ValidationError as error:
            raise ValueError(error.errors(include_input=False)[0]["msg"]) from None


_FLAT = (
    *("ai_model", "provider", "service_tier", "usage", "input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens"),
)


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


def bodies_in(data: bytes) -> list[Any]:
    """Return the JSON objects of a message: one object, or an array of at most 1,000 of them.

    Raises:
        MalformedError: not JSON, or neither object nor array.
        InvalidError: too many items.
    """
    value = exact_json.loads(data)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise MalformedError("the message must be a JSON object or an array of objects")
    items = cast("list[Any]", value)
    if len(items) > ITEMS_LIMIT:
        raise InvalidError(f"an array may hold {ITEMS_LIMIT} items at most, not {len(items)}")
    return items


def validated(kind: type[SettlementBody], data: Any) -> SettlementBody:
    """Return `data` as a body of this kind, or raise `InvalidError` naming the first wrong field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        param = ".".join(map(str, problem["loc"])) or "body"
        raise InvalidError(f"{param} is wrong: {problem['msg']}", param=param) from None
