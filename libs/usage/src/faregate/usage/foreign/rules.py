"""Rules by which foreign events become usage events or charges. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import Field, StrictStr, ValidationError, model_validator

from faregate.core.errors import InvalidError
from faregate.core.values.fields import AtMost, Body, Count, ExternalId, Note
from faregate.usage.foreign.field_paths import FieldPath
from faregate.usage.foreign.values import Form
from faregate.wire.count_names import COUNT_NAMES, unknown_name

__all__ = [
    "FIELD_NAMES",
    "Action",
    "Constant",
    "ForeignEvent",
    "IngestRule",
    "IngestRuleDocument",
    "Pattern",
    "Source",
]

Action = Literal["record", "charge", "ignore"]

FIELD_NAMES = (
    *("user_id", "organization_id", "service", "feature_key", "usage_key", "model", "provider", "usage"),
    *("meter", "quantity", "unit", "reported_cost_usd", "latency_ms", "status", "country", "device", "time"),
    *COUNT_NAMES,
)
"""The fields that a rule may set; `usage` is the object that holds token counts in any known format."""


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """One event as another system sent it. `source` and `id` identify it: the same pair counts once.

    Attributes:
        fields: what the paths of rules look into.
        above: for a span, the ids of the spans above it, as far as they are known: a span above a counted one is not counted.
    """

    form: Form
    source: str
    id: str
    fields: Mapping[str, Any]
    above: Sequence[str] = ()


class Constant(Body):
    """A value that is the same for all events of a rule."""

    value: StrictStr | Decimal | int = Field(union_mode="left_to_right", examples=["storage"])


_Path = Annotated[StrictStr, Field(max_length=300, examples=["data.customer"])]
_Sources = _Path | Constant | Annotated[list[_Path | Constant], AtMost(20, least=1)] | None
_Text = Annotated[StrictStr, Field(max_length=300, examples=["litellm_*"])]


class IngestRuleDocument(Body):
    """A rule as operators declare it.

    Attributes:
        forms: the formats that it is for.
        where: patterns by path, all of which must match: an exact text, a text with `*` for any characters, or several of them
            of which one must match. `*` alone matches any value that is there.
        fields: where each field comes from: a path, a constant `{"value": …}`, or several of them, of which the first one with a
            value counts. Fields that are not named come from where they come without the rule; null leaves a field out.
        position: rules are tried in ascending order, and the first that matches decides.
    """

    forms: Annotated[list[Form], AtMost(5, least=1)]
    where: Annotated[dict[_Path, _Text | Annotated[list[_Text], AtMost(50, least=1)]], AtMost(20)] = Field(
        default_factory=dict
    )
    action: Action = "record"
    feature_key: ExternalId | None = None
    fields: Annotated[dict[str, _Sources], AtMost(64)] = Field(default_factory=dict)
    position: Count = 100
    description: Annotated[Note, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _check(self) -> "IngestRuleDocument":
        if self.action == "charge" and self.feature_key is None and not self.fields.get("feature_key"):
            raise ValueError("feature_key is required for charge: the feature whose price is charged")
        for name in self.fields:
            if name not in FIELD_NAMES:
                raise ValueError(f"fields: {unknown_name(name, FIELD_NAMES)}")
        try:
            self.rule("")
        except InvalidError as error:
            raise ValueError(error.detail) from None
        return self

    def rule(self, name: str) -> "IngestRule":
        """Return the rule in its final form."""
        sources = {field: _sources(given) for field, given in self.fields.items()}
        if self.feature_key is not None:
            sources["feature_key"] = (Constant(value=self.feature_key),)
        patterns = {path: [wanted] if isinstance(wanted, str) else wanted for path, wanted in self.where.items()}
        return IngestRule(
            name=name,
            forms=tuple(self.forms),
            where=tuple(Pattern(FieldPath(path), tuple(wanted)) for path, wanted in patterns.items()),
            action=self.action,
            fields=sources,
            position=self.position,
        )

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "IngestRuleDocument":
        """Return a stored or given document.

        Raises:
            InvalidError: a field is wrong; the text names the first one.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            param = ".".join(map(str, problem["loc"])) or "rule"
            raise InvalidError(
                f"{param} is wrong: {problem['msg'].removeprefix('Value error, ')}", param=param
            ) from None


Source = FieldPath | Constant
Sources = tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Texts of which the value at a path must match one; `*` stands for any characters."""

    path: FieldPath
    wanted: tuple[str, ...]
    _expression: "re.Pattern[str]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(wanted.count("*") > _STARS_LIMIT for wanted in self.wanted):
            raise InvalidError(
                f"where.{self.path.text}: a pattern has at most {_STARS_LIMIT} `*`; list several patterns"
            )
        ways = ("".join(".*" if part == "*" else re.escape(part) for part in _STARS.split(w)) for w in self.wanted)
        object.__setattr__(self, "_expression", re.compile("|".join(ways), re.DOTALL))

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the value at the path matches."""
        value = self.path.value_in(fields)
        if value is None:
            return False
        if isinstance(value, bool):
            value = str(value).lower()
        return self._expression.fullmatch(str(value) if isinstance(value, str | int | Decimal) else "") is not None


_STARS_LIMIT = 3
_STARS = re.compile(r"(\*)\**")


@dataclass(frozen=True, slots=True)
class IngestRule:
    """A rule in its final form; see `IngestRuleDocument`."""

    name: str
    forms: tuple[Form, ...]
    where: tuple[Pattern, ...] = ()
    action: Action = "record"
    fields: Mapping[str, Sources] = field(default_factory=dict[str, Sources])
    position: int = 100

    def applies_to(self, event: ForeignEvent) -> bool:
        """Return whether the rule decides about this event."""
        return event.form in self.forms and all(pattern.matches(event.fields) for pattern in self.where)

    def over(self, usual: "IngestRule") -> "IngestRule":
        """Return this rule with the fields of `usual` where it names none itself."""
        return IngestRule(
            self.name, self.forms, self.where, self.action, {**usual.fields, **self.fields}, self.position
        )


def _sources(given: Any) -> Sources:
    if given is None:
        return ()
    listed = cast("list[Any]", given) if isinstance(given, list) else [given]
    return tuple(FieldPath(source) if isinstance(source, str) else source for source in listed)
