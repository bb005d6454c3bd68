"""Field types of request bodies and answers.

They are strict where a guess could cost money, and exact for amounts of money.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from faregate.core.redaction.scrubbing import clean_metadata, clean_text, name_checked
from faregate.core.values.moments import PROBLEM, is_within_bounds
from faregate.wire.ids import EXTERNAL_ID_PATTERN

__all__ = [
    "AtMost",
    "Body",
    "Count",
    "Credits",
    "ExternalId",
    "Flag",
    "JsonObject",
    "LooseBody",
    "Metadata",
    "ModelName",
    "Moment",
    "Note",
    "OneOf",
    "Text",
    "Usd",
    "UserId",
]


def _number(value: Any) -> Any:
    """Accept JSON numbers only: `"5"` and `true` are not amounts."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  pydantic reports ValueError
    return Decimal(value)


_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:")
"""A number in quotes is refused, although a lenient parser would read it as a time."""


def _time_text(value: Any) -> Any:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _TIME.match(value)):
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    return value


@dataclass(frozen=True, slots=True)
class AtMost:
    """The maximum number of items of a list or mapping in a body, checked before the items are validated.

    pydantic's own `max_length` counts valid items only, and would report each of a hundred thousand invalid ones.
    """

    limit: int
    least: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = cast("dict[str, Any]", handler(source))
        inner |= {"max_length": self.limit, **({"min_length": self.least} if self.least else {})}
        return core_schema.no_info_before_validator_function(self._bounded, cast("CoreSchema", inner))

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, list | dict) and len(cast("list[Any] | dict[str, Any]", value)) > self.limit:
            raise ValueError(f"holds more than {self.limit} items; send it in parts")
        return cast("Any", value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """What a value of several allowed kinds must be, in one sentence.

    pydantic's own messages are mostly about the first kind, and none says why.
    """

    problem: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="wrong_kind", custom_error_message=self.problem
        )


_MANY_FIELDS = 256
"""More fields than any body has: beyond this number, unknown fields are refused with one error, not one each."""


def _within_bounds(moment: datetime) -> datetime:
    if not is_within_bounds(moment):
        raise ValueError(PROBLEM)
    return moment


_Checked = AfterValidator(name_checked)
ExternalId = Annotated[StrictStr, Field(pattern=EXTERNAL_ID_PATTERN, examples=["ai_chat_v1"]), _Checked]
UserId = Annotated[StrictStr, Field(pattern=EXTERNAL_ID_PATTERN, examples=["user-1"]), _Checked]
ModelName = Annotated[StrictStr, Field(min_length=1, max_length=255, examples=["gpt-4o"]), _Checked]
Text = Annotated[StrictStr, Field(max_length=2000)]
Note = Annotated[StrictStr, Field(max_length=2000), AfterValidator(clean_text)]
"""Free text for people: secrets are removed."""
Flag = StrictBool
Count = Annotated[StrictInt, Field(ge=0, le=10**9, examples=[1000])]
Credits = Annotated[
    Decimal, BeforeValidator(_number), Field(gt=-(10**9), lt=10**9, decimal_places=6, allow_inf_nan=False, examples=[5])
]
Usd = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, lt=10**9, decimal_places=12, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, BeforeValidator(_time_text), AfterValidator(_within_bounds)]
JsonObject = dict[str, Any]
Metadata = Annotated[dict[str, Any], AfterValidator(clean_metadata)]
"""Caller-supplied metadata of a use: secrets are removed, numbers are kept."""


class Body(BaseModel):
    """A request body that refuses unknown fields, so that a typing error is reported instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and len(cast("dict[str, Any]", data)) > _MANY_FIELDS:
            raise ValueError(f"has more than {_MANY_FIELDS} fields; leave out those that are unknown")
        return cast("Any", data)


class LooseBody(BaseModel):
    """A request body of the public processes, where existing callers may send additional fields of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, defer_build=True)
