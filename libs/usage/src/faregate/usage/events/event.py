"""Usage events as callers report them, validated on creation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import CREDENTIAL, credentials_in
from faregate.core.values.fields import AtMost, Body, Metadata, OneOf
from faregate.usage.events.terms import CORRECT_IT, RESERVED, is_reserved
from faregate.wire.ids import EXTERNAL_ID_PATTERN

__all__ = ["NAMES", "Device", "EventFields", "KindName", "UsageEvent", "refusal_of"]

Device = Literal["desktop", "mobile", "tablet", "bot", "server", "other"]
KindName = Literal["request", "line", "meter"]


_ExternalId = Annotated[StrictStr, Field(pattern=EXTERNAL_ID_PATTERN, examples=["ai_chat_v1"])]
_ModelName = Annotated[StrictStr, Field(min_length=1, max_length=255, examples=["gpt-4o"])]
Word = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9._:/@ -]{1,100}$", examples=["chat"])]
_NotNegative = Annotated[Decimal, Field(strict=True, allow_inf_nan=False, ge=0)]
Label = Annotated[StrictStr, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Status = Annotated[
    Annotated[StrictInt, Field(ge=100, le=599)] | Literal["success", "ok", "failed", "error"],
    OneOf("must be a status from 100 to 599, 'success', 'ok', 'failed' or 'error'"),
]
Milliseconds = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]
Amount = Annotated[
    Annotated[StrictInt, Field(ge=0)] | _NotNegative,
    OneOf(f"must be a number from 0, such as 5 or 0.25, without quotes; {CORRECT_IT}"),
]
Tokens = Annotated[
    StrictInt,
    Field(ge=0, le=10**9, examples=[1000]),
    OneOf(f"must be a whole number from 0 to 1000000000, without quotes; {CORRECT_IT}"),
]


def _not_reserved(source: str) -> str:
    if is_reserved(source):
        raise ValueError(RESERVED)
    return source


Source = Annotated[Label, AfterValidator(_not_reserved)]


class UsageEvent(Body):
    """One metered fact, validated on creation.

    No amount may be below 0: to take back or lower what was counted, correct the event.

    Attributes:
        id, source: identify the event; the same pair is never counted twice. Without an id, every delivery counts. Sources
            that begin with `faregate:` are reserved.
        kind: `request` (one per use), `line` (one model's part of a use) or `meter` (a quantity). By default an event with
            a meter is a `meter`, any other one a `request`.
        service: what was used; by default the meter's name.
        quantity: the quantity of the meter, by default 1; in the meter's unit, or in another `unit` that it converts from.
        usage_key: the use to which the event belongs; a use counts as one request, no matter how many events report it.
        credits, cost_usd: the exact price and the exact provider cost.
        latency_ms: milliseconds. status: 100 … 599, or `success` (200) or `failed` (500).
        time: when it happened; by default the time of arrival.
    """

    user_id: _ExternalId
    service: Word | None = None
    id: Label | None = None
    source: Source | None = None
    kind: KindName | None = None
    organization_id: _ExternalId | None = None
    meter: Word | None = None
    quantity: Amount | None = None
    unit: Word | None = None
    feature_key: _ExternalId | None = None
    usage_key: _ExternalId | None = None
    model: _ModelName | None = None
    provider: _ModelName | None = None
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    credits: Amount | None = None
    cost_usd: Amount | None = None
    latency_ms: Milliseconds | None = None
    status: Status | None = None
    country: Annotated[StrictStr, Field(pattern="^[A-Za-z]{2}$", examples=["DE"])] | None = None
    device: Device | None = None
    tags: Annotated[list[Label], AtMost(50)] | None = None
    metadata: Metadata | None = None
    time: AwareDatetime | None = None

    @model_validator(mode="after")
    def _names_are_no_credentials(self) -> Self:
        """Check all names of the event together, as `parse_events` checks those of all its events."""
        credentials = credentials_in({name for name in (*map(vars(self).get, NAMES), *(self.tags or ())) if name})
        refusal = refusal_of(vars(self), credentials) if credentials else None
        if refusal is not None:
            raise ValueError(refusal.detail)
        return self


EventFields = Mapping[str, Any]
"""The fields of an event after validation; a missing field is None (or 0, for tokens)."""

NAMES = (
    *("user_id", "service", "id", "source", "organization_id", "meter", "unit", "feature_key", "usage_key", "model"),
    "provider",
)
"""The fields whose values are names, which must not be credentials."""


def refusal_of(event: EventFields, credentials: set[str]) -> InvalidError | None:
    """Return the error of the first name of an event that is one of `credentials`."""
    tags = (("tags", tag) for tag in event.get("tags") or ())
    for field, name in (*((field, event.get(field)) for field in NAMES), *tags):
        if name in credentials:
            return InvalidError(f"{field}: {CREDENTIAL}")
    return None
