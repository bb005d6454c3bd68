"""Declared segments: conditions on what a user did. Pure."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.customers.values import UserActivity
from faregate.core.errors import InvalidError

__all__ = ["SEGMENT_FIELDS", "Condition", "SegmentRule", "conditions_of", "matches"]

_COMPARE: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
}

SEGMENT_FIELDS: Mapping[str, Callable[[UserActivity, int], Decimal]] = {
    "days_since_last": lambda user, today: Decimal(today - 1 - user.last_day),
    "days_since_first": lambda user, today: Decimal(today - 1 - user.first_day),
    "active_days": lambda user, _: Decimal(len(user.days)),
    "requests": lambda user, _: Decimal(user.whole.requests),
    "tokens": lambda user, _: Decimal(user.whole.tokens),
    "credits": lambda user, _: user.whole.credits,
    "charged": lambda user, _: user.whole.charged,
    "cost_usd": lambda user, _: user.whole.cost_usd,
    "error_rate": lambda user, _: user.whole.error_rate,
    "recent_requests": lambda user, _: Decimal(user.recent.requests),
    "recent_credits": lambda user, _: user.recent.credits,
    "recent_error_rate": lambda user, _: user.recent.error_rate,
}
"""What conditions can be about; `recent` is the last 28 days. Each is computed from a user and the number of days."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, such as `credits >= 100`."""

    field: str
    op: str
    value: Decimal

    @property
    def as_json(self) -> dict[str, Any]:
        """The form in which it is stored and sent."""
        return {"field": self.field, "op": self.op, "value": self.value}


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """A declared segment: the users for whom all conditions hold.

    Raises:
        InvalidError: a condition names an unknown field or comparison, or there is none.
    """

    name: str
    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if not self.conditions:
            raise InvalidError("conditions must name at least one condition", param="conditions")
        for condition in self.conditions:
            if condition.field not in SEGMENT_FIELDS:
                known = ", ".join(SEGMENT_FIELDS)
                raise InvalidError(f"conditions.field {condition.field!r} is none of {known}", param="conditions")
            if condition.op not in _COMPARE:
                raise InvalidError(f"conditions.op must be one of {', '.join(_COMPARE)}", param="conditions")


def conditions_of(values: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Return stored conditions."""
    return tuple(Condition(value["field"], value["op"], Decimal(value["value"])) for value in values)


def matches(rule: SegmentRule, user: UserActivity, today: int) -> bool:
    """Tell whether a user belongs to a segment; `today` is the number of days of the range."""
    return all(_COMPARE[each.op](SEGMENT_FIELDS[each.field](user, today), each.value) for each in rule.conditions)
