"""Values of exports: decimals, counts, moments and tables. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from faregate.analytics.bills.errors import UnreadableBillError
from faregate.core.errors import MalformedError
from faregate.core.values.moments import is_within_bounds
from faregate.wire import exact_json

__all__ = ["Fields", "amount", "buckets", "count", "moment", "optional", "table", "text", "whole_day"]

Fields = Mapping[str, Any]

_LINES_LIMIT = 1_000_000
_SHOWN = 40
_LENGTH = 255
_COUNT_LIMIT = 10**15
_COST_LIMIT = Decimal(10) ** 12
_DIGITS = 40
DAY = timedelta(days=1)


def table(content: bytes) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a CSV with a heading: the line of its text, and the cells by column.

    Raises:
        UnreadableBillError: not UTF-8, no heading, a row of another length than the heading, or too many lines.
    """
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = [name.strip() for name in next(lines, list[str]())]
        if not any(names) or len(set(names)) != len(names):
            raise UnreadableBillError("the first line must name each column once", line=1)
        for number, cells in enumerate(lines, 1):
            if not cells:
                continue
            if number > _LINES_LIMIT:
                raise UnreadableBillError(f"more than {_LINES_LIMIT:,} lines; split the file", line=lines.line_num)
            if len(cells) != len(names):
                problem = f"{len(cells)} cells, but the heading has {len(names)}; is the file cut off?"
                raise UnreadableBillError(problem, line=lines.line_num)
            yield lines.line_num, dict(zip(names, cells, strict=True))
    except UnicodeDecodeError as error:
        raise UnreadableBillError(f"not UTF-8 at byte {error.start}; save the file as CSV in UTF-8") from None
    except csv.Error as error:
        raise UnreadableBillError(f"not CSV: {error}") from None


def buckets(content: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of `data` of an answer, or of an array of answers (the pages of one question).

    Raises:
        UnreadableBillError: not JSON of that form.
    """
    try:
        read = exact_json.loads(content)
    except MalformedError as error:
        raise UnreadableBillError(f"the file is {error.detail}") from None
    pages: list[Any] = cast("list[Any]", read) if isinstance(read, list) else [read]
    for page in pages:
        data = exact_json.mapping(page).get("data")
        if not isinstance(data, list):
            raise UnreadableBillError("no list `data`; import an answer of the provider's API as it is")
        yield from (exact_json.mapping(each) for each in cast("list[Any]", data))


def text(fields: Fields, name: str, *, line: int) -> str:
    """Return a text that must be there."""
    found = optional(fields, name, line=line)
    if found is None:
        raise UnreadableBillError(f"{name} is missing or empty", line=line)
    return found


def optional(fields: Fields, name: str, *, line: int) -> str | None:
    """Return a text; None if it is missing or empty."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LENGTH or not value.isprintable():
        raise UnreadableBillError(f"{name} must be a printable text of at most {_LENGTH} characters", line=line)
    return value.strip() or None


def amount(fields: Fields, name: str, *, line: int) -> Decimal | None:
    """Return an amount of money exactly as it is written; None if it is missing or empty."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    found = _decimal(value)
    if found is None:
        raise UnreadableBillError(f"{name} {_shown(value)} is not an amount such as 12.5", line=line)
    return found


def count(fields: Fields, name: str, *, line: int) -> int:
    """Return a whole number from 0 on; 0 if it is missing or empty."""
    value = fields.get(name)
    if value is None or value == "":
        return 0
    found = _decimal(value)
    if found is None or found != found.to_integral_value() or not 0 <= found < _COUNT_LIMIT:
        raise UnreadableBillError(f"{name} {_shown(value)} is not a whole number from 0 on", line=line)
    return int(found)


def moment(fields: Fields, name: str, *, line: int) -> datetime:
    """Return a moment: seconds since 1970, or ISO 8601, which is in UTC if it has no offset."""
    value = fields.get(name)
    if value is None or value == "" or isinstance(value, bool):
        raise UnreadableBillError(f"{name} is missing", line=line)
    try:
        found = _moment(value)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not is_within_bounds(found):
        raise UnreadableBillError(f"{name} {_shown(value)} is no date or time such as 2026-11-01", line=line)
    return found


def whole_day(at: datetime) -> tuple[datetime, datetime]:
    """Return the day in UTC that holds `at`, its end excluded."""
    start = datetime.combine(at.date(), time(), UTC)
    return start, start + DAY


def within_a_day(start: datetime, end: datetime, *, line: int) -> tuple[datetime, datetime]:
    """Return the period, or raise `UnreadableBillError` if it is longer than its day in UTC."""
    first, last = whole_day(start)
    if not first <= start <= end <= last:
        problem = f"the period from {start:%Y-%m-%d} to {end:%Y-%m-%d} is not within one day of UTC; export by day"
        raise UnreadableBillError(problem, line=line)
    return start, end


def joined(parts: Sequence[str | None]) -> str:
    """Return what tells lines apart as one text."""
    return "|".join(part or "" for part in parts).strip("|")


def _moment(value: Any) -> datetime:
    if isinstance(value, int | Decimal) or (isinstance(value, str) and value.strip().isdigit()):
        return datetime.fromtimestamp(int(value), UTC)
    found = datetime.fromisoformat(str(value).strip().removesuffix(" UTC"))
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _decimal(value: Any) -> Decimal | None:
    """Return a number as it is written, in JSON or in a cell; None if it is none, or has more digits than are kept."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        found = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found) >= _COST_LIMIT or len(found.as_tuple().digits) > _DIGITS:
        return None
    exponent = found.as_tuple().exponent
    return found if isinstance(exponent, int) and exponent >= -_DIGITS else None


def _shown(value: Any) -> str:
    return repr(str(value)[:_SHOWN])
