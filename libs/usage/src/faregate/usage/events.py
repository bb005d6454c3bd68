"""Metered facts as callers report them: one event of a kind, validated where it is made."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from faregate.core.errors import InvalidError
from faregate.core.fields import Body, Count, ExternalId, Metadata, ModelName
from faregate.core.free_fields import name_checked

__all__ = ["Device", "EventKind", "KindName", "UsageEvent", "parse_events"]

Device = Literal["desktop", "mobile", "tablet", "bot", "server", "other"]
KindName = Literal["request", "line", "meter"]


class EventKind(IntEnum):
    """What kind of fact an event is, as the database holds it."""

    REQUEST = 0
    LINE = 1
    METER = 2


Word = Annotated[
    StrictStr, Field(pattern=r"^[A-Za-z0-9._:/@ -]{1,100}$", examples=["chat"]), AfterValidator(name_checked)
]
Label = Annotated[StrictStr, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$"), AfterValidator(name_checked)]
_Exact = Annotated[Decimal, Field(strict=True, allow_inf_nan=False)]
Status = Annotated[StrictInt, Field(ge=100, le=599)] | Literal["success", "ok", "failed", "error"]
Milliseconds = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]
Number = StrictInt | _Exact


class UsageEvent(Body):
    """One metered fact. Making one validates it.

    Attributes:
        id, source: name the event; the same pair never counts twice. Without an id, every delivery counts.
        kind: `request` (one per use), `line` (what one model did in a use) or `meter` (a quantity). Without it an event
            with a meter is a `meter`, any other one a `request`.
        service: what was used; for a meter it may be left out and is then the meter's name.
        quantity: how much of the meter, 1 if left out; in the meter's unit, or in another `unit` that it converts from.
        usage_key: the use that the event belongs to; a use counts as one request, however many report it.
        credits, cost_usd: what it was sold for and what the provider took, exactly.
        latency_ms: milliseconds. status: 100 … 599, or `success` (200) or `failed` (500).
        time: when it happened; the time of arrival if left out.
    """

    user_id: ExternalId
    service: Word | None = None
    id: Label | None = None
    source: Label | None = None
    kind: KindName | None = None
    organization_id: ExternalId | None = None
    meter: Word | None = None
    quantity: Number | None = None
    unit: Word | None = None
    feature_key: ExternalId | None = None
    usage_key: ExternalId | None = None
    model: ModelName | None = None
    provider: ModelName | None = None
    input_tokens: Count = 0
    output_tokens: Count = 0
    credits: Number | None = None
    cost_usd: Number | None = None
    latency_ms: Milliseconds | None = None
    status: Status | None = None
    country: Annotated[StrictStr, Field(pattern="^[A-Za-z]{2}$", examples=["DE"])] | None = None
    device: Device | None = None
    tags: Annotated[list[Label], Field(max_length=50)] | None = None
    metadata: Metadata | None = None
    time: AwareDatetime | None = None


_EVENTS: TypeAdapter[list[UsageEvent]] = TypeAdapter(list[UsageEvent])


def parse_events(items: Sequence[UsageEvent | Mapping[str, Any] | InvalidError]) -> list[UsageEvent | InvalidError]:
    """Validate `items`; each becomes an event or the reason why it is none, in order. Errors stay as they are."""
    problems = {number: item.detail for number, item in enumerate(items) if isinstance(item, InvalidError)}
    try:
        if not problems:
            return list(_EVENTS.validate_python(items))
        _EVENTS.validate_python([{} if number in problems else item for number, item in enumerate(items)])
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            where = problem["loc"]
            name = str(where[1]) if len(where) > 1 else "event"
            text = f"{name}: {problem['msg'].removeprefix('Value error, ')}"
            problems.setdefault(int(where[0]) if where else 0, text)
    good = iter(_EVENTS.validate_python([item for number, item in enumerate(items) if number not in problems]))
    return [InvalidError(problems[number]) if number in problems else next(good) for number in range(len(items))]
