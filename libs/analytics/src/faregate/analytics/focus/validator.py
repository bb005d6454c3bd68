"""Validator of FOCUS 1.2 and 1.4. Pure.

Types, nulls, allowed values and rules between columns: each rule is a MUST of the specification. Cells are read as they stand
in a file, so that what is checked is what is sent.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from faregate.analytics.focus.columns import (
    FOCUS_COLUMNS,
    FocusColumn,
    FocusType,
    FocusVersion,
    columns_of,
    mandatory_of,
)
from faregate.core.errors import FaregateError, InvalidError
from faregate.wire import exact_json

__all__ = ["FocusInvalidError", "check_rows", "heading_problems", "problems"]

Cells = Mapping[str, str | None]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")
_EXACT = Context(prec=200)
_CUSTOM = "x_"
_KNOWN = {column.name: column for column in FOCUS_COLUMNS}
_PRODUCTS = (
    ("ListUnitPrice", "PricingQuantity", "ListCost"),
    ("ContractedUnitPrice", "PricingQuantity", "ContractedCost"),
)
_NEEDED_IN_USAGE = (
    *("ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingCurrencyContractedUnitPrice"),
    *("PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "SkuId", "SkuPriceId"),
)
_TOGETHER = (
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
    ("ResourceId", "ResourceType"),
    ("SubAccountId", "SubAccountType"),
)


class FocusInvalidError(InvalidError):
    """A row is not valid in FOCUS; names the row and the column."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, param="file")


def check_rows(names: Sequence[str], rows: Iterable[Cells], version: FocusVersion) -> int:
    """Return the number of rows, all of which are valid.

    Raises:
        FocusInvalidError: the first problem.
    """
    for problem in heading_problems(names, version):
        raise FocusInvalidError(problem)
    count = 0
    for count, cells in enumerate(rows, 1):
        for problem in problems(cells):
            raise FocusInvalidError(f"row {count}: {problem}")
    return count


def heading_problems(names: Sequence[str], version: FocusVersion) -> Iterator[str]:
    """Yield what is wrong with a heading."""
    missing = sorted(mandatory_of(version) - set(names))
    if missing:
        yield f"the column {missing[0]} is missing; it is mandatory"
    if len(set(names)) != len(names):
        yield "a column stands twice in the heading"
    ours = [name.startswith(_CUSTOM) for name in names]
    if ours != sorted(ours):
        yield "columns of FOCUS must stand before the ones that begin with x_"
    known = {column.name for column in columns_of(version)}
    for name in names:
        if name not in known and not name.startswith(_CUSTOM):
            yield f"{name} is no column of FOCUS {version} that is known here; a column of your own begins with x_"


def problems(cells: Cells) -> Iterator[str]:
    """Yield what is wrong with a row."""
    wrong = False
    for name, value in cells.items():
        problem = _cell_problem(_KNOWN.get(name), value)
        if problem is not None:
            wrong = True
            yield f"{name} {problem}"
    if not wrong:
        yield from _row_problems(cells)


def _cell_problem(column: FocusColumn | None, value: str | None) -> str | None:
    if value == "":
        return "must be null, not an empty text"
    if column is None:
        return None
    if value is None:
        return None if column.nullable else "must not be null"
    if column.allowed and value not in column.allowed:
        return f"{value!r} is none of {', '.join(column.allowed)}"
    return _TYPES[column.type](column, value)


def _number_problem(column: FocusColumn, value: str) -> str | None:
    number = _decimal(value) if _NUMBER.fullmatch(value) else None
    if number is None:
        return f"{value!r} is not a number such as -12.5 or 1E-9"
    return "must not be below 0" if number < 0 and not column.negative else None


def _moment_problem(_column: FocusColumn, value: str) -> str | None:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return f"{value!r} is no time"
    return None if _MOMENT.fullmatch(value) else f"{value!r} must be of the form 2026-11-01T00:00:00Z"


def _json_problem(_column: FocusColumn, value: str) -> str | None:
    try:
        found = exact_json.loads(value)
    except FaregateError:
        return f"{value!r} is not JSON"
    values = exact_json.mapping(found).values()
    is_flat = isinstance(found, Mapping) and not any(isinstance(each, dict | list) for each in values)
    return None if is_flat else "must be an object of keys and single values"


def _text_problem(_column: FocusColumn, value: str) -> str | None:
    return None if value == value.strip() else "must not begin or end with a blank"


_TYPES: Mapping[FocusType, Callable[[FocusColumn, str], str | None]] = {
    FocusType.DECIMAL: _number_problem,
    FocusType.MOMENT: _moment_problem,
    FocusType.JSON: _json_problem,
    FocusType.STRING: _text_problem,
}


def _row_problems(cells: Cells) -> Iterator[str]:
    yield from _pair_problems(cells)
    if not re.fullmatch("[A-Z]{3}", cells.get("BillingCurrency") or ""):
        yield "BillingCurrency must be three capital letters of ISO 4217"
    for name in ("SkuPriceDetails", "SkuMeter"):
        if cells.get("SkuPriceId") is None and cells.get(name) is not None:
            yield f"{name} must be null where SkuPriceId is"
    if cells.get("ChargeClass") is None:
        yield from _regular_problems(cells)
    if cells.get("ChargeCategory") == "Purchase" and cells.get("ChargeFrequency") == "Usage-Based":
        yield "ChargeFrequency must not be Usage-Based for a purchase"


def _pair_problems(cells: Cells) -> Iterator[str]:
    for start, end in (("BillingPeriodStart", "BillingPeriodEnd"), ("ChargePeriodStart", "ChargePeriodEnd")):
        if str(cells.get(start)) >= str(cells.get(end)):
            yield f"{end} must be after {start}"
    for first, second in _TOGETHER:
        if first in cells and second in cells and (cells[first] is None) != (cells[second] is None):
            yield f"{first} and {second} must both be null, or neither"


def _regular_problems(cells: Cells) -> Iterator[str]:
    """Yield what is wrong with a row that is no correction."""
    if cells.get("ChargeCategory") in {"Usage", "Purchase"}:
        for name in _NEEDED_IN_USAGE:
            if name in cells and cells[name] is None:
                yield f"{name} must not be null for usage"
    if cells.get("ChargeCategory") == "Usage" and "ConsumedQuantity" in cells and cells["ConsumedQuantity"] is None:
        yield "ConsumedQuantity must not be null for usage"
    for price, quantity, cost in _PRODUCTS:
        values: list[Any] = [_decimal(cells.get(name)) for name in (price, quantity, cost)]
        if None not in values and _EXACT.multiply(values[0], values[1]) != values[2]:
            yield f"{cost} must be {price} times {quantity}"


def _decimal(value: str | None) -> Decimal | None:
    try:
        return None if value is None else Decimal(value)
    except InvalidOperation:
        return None
