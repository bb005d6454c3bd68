"""Count fields of usage lines, and refused look-alikes."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field, model_validator

from faregate.core.values.fields import Count, Credits, JsonObject, LooseBody, ModelName, Text, Usd
from faregate.wire.count_names import ALIASES, COUNT_NAMES, looks_like_count, meant_by, unknown_name

__all__ = ["CarefulBody", "LineFields"]

_COMPARED = 100
"""Most unknown names of one body that are compared with known ones; further ones must only not look like counts."""


class CarefulBody(LooseBody):
    """A body that ignores fields of the caller's own, but none that looks like one that decides about money.

    Class attributes:
        strict: refuse every unknown field.
        elsewhere: where counts belong, if not here.
    """

    strict: ClassVar[bool] = False
    elsewhere: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields, known = cast("dict[str, Any]", data), _names(cls)
        if fields.keys() <= known:
            return fields
        renamed = _without_aliases(fields) if "input_tokens" in known else fields
        missing = known - renamed.keys()
        for number, name in enumerate(sorted(renamed.keys() - known, key=str)):
            if cls.strict or looks_like_count(name) or (number < _COMPARED and meant_by(name, missing) is not None):
                raise ValueError(cls._refusal(name, known))
        return renamed

    @classmethod
    def _refusal(cls, name: str, known: Collection[str]) -> str:
        said = unknown_name(name, known)
        if cls.elsewhere and meant_by(name, known) is None:
            return f"{said}; what was used belongs into {cls.elsewhere}"
        return said


@cache
def _names(kind: type[CarefulBody]) -> frozenset[str]:
    return frozenset(kind.model_fields)


def _without_aliases(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with other names of the totals replaced; two names that say different things are refused."""
    renamed = {name: value for name, value in fields.items() if name not in ALIASES}
    for alias, name in ALIASES.items():
        if alias in fields and renamed.setdefault(name, fields[alias]) != fields[alias]:
            raise ValueError(f"{name} and {alias} are two names of one count, with different values; send one")
    return renamed


_COUNTS = frozenset(COUNT_NAMES)


class LineFields(CarefulBody):
    """What one model did: by its counts, by what the provider reported (`usage`), or as a `quantity` of some `unit`."""

    ai_model: ModelName | None = None
    provider: ModelName | None = None
    service_tier: ModelName | None = None
    usage: JsonObject | None = Field(
        default=None,
        description="the provider's usage object, or its whole response, as it came: of the forms listed in "
        "docs/reference/provider-usage.md",
    )
    quantity: Annotated[Credits, Field(ge=0)] | None = Field(
        default=None, description="of `unit`, for features that sell it"
    )
    unit: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["images"])] | None = None
    total_tokens: Count | None = Field(
        default=None, description="what the provider reported as the sum; a part that is missing is charged as output"
    )
    reported_cost_usd: Usd | None = Field(
        default=None, description="what the provider said it costs; kept, and a price only where a setting allows it"
    )
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_5m_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    output_reasoning_tokens: Count = 0
    output_citation_tokens: Count = 0
    input_tool_tokens: Count = 0
    input_text_tokens: Count = 0
    output_text_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    cache_audio_read_tokens: Count = 0
    input_image_tokens: Count = 0
    output_image_tokens: Count = 0
    cache_image_read_tokens: Count = 0
    input_video_tokens: Count = 0
    output_video_tokens: Count = 0
    cache_video_read_tokens: Count = 0
    audio_seconds: Count = 0
    input_audio_seconds: Count = 0
    output_audio_seconds: Count = 0
    input_characters: Count = 0
    input_text_messages: Count = 0
    input_pixels: Count = 0
    input_document_pages: Count = 0
    input_annotated_document_pages: Count = 0
    web_searches: Count = 0
    social_searches: Count = 0
    storage_searches: Count = 0
    rerank_searches: Count = 0
    code_executions: Count = 0

    def counts(self) -> dict[str, int]:
        """Return the counts that were sent, zeros included."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set & _COUNTS)}
