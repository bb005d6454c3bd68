"""Scalars of the GraphQL schema: exact amounts, whole numbers, moments."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from faregate.core.values.moments import PROBLEM, is_within_bounds
from faregate.wire import exact_json

__all__ = ["JSON", "SCALARS", "Long"]

Long = NewType("Long", int)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('a Decimal is a text such as "1.25"')  # noqa: TRY004  GraphQL reports ValueError
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError('a Decimal is a text such as "1.25"') from None


def _long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a Long is a whole number")  # noqa: TRY004  GraphQL reports ValueError
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("a DateTime is a text such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None or not is_within_bounds(moment):
        raise ValueError(PROBLEM)
    return moment


SCALARS: Mapping[object, ScalarDefinition] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact number as a text in plain digits: "0.000125". Read it with a decimal type, never with a float.',
        serialize=exact_json.plain,
        parse_value=_decimal,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="A whole number that may exceed 32 bits, as a JSON number.",
        serialize=lambda value: value,
        parse_value=_long,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in ISO 8601 with its offset from UTC: 2026-01-31T12:00:00Z.",
        serialize=lambda value: value,
        parse_value=_moment,
    ),
}
