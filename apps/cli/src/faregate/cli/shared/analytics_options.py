"""Options of commands about usage, and output as table, JSON or CSV."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from faregate.analytics.exports.guarding import harmless
from faregate.analytics.question.calendar import Unit
from faregate.analytics.question.filters import Filters, Question, time_range
from faregate.cli.shared.output import errors, print_json, print_table
from faregate.core.clock import SystemClock

__all__ = ["About", "Shape", "UnitWord", "tell", "tell_omissions", "unit_of"]

UnitWord = Literal["hour", "day", "week", "month", "hourly", "daily", "weekly", "monthly"]
_UNITS: Mapping[UnitWord, Unit] = {
    "hour": "hour",
    "day": "day",
    "week": "week",
    "month": "month",
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
}
Shape = Annotated[Literal["table", "json", "csv"], Parameter(name=["--output", "-o"], help="table, json or csv")]


def unit_of(word: UnitWord) -> Unit:
    """Return the unit that a word such as `hour` or `hourly` names."""
    return _UNITS[word]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class About:
    """Options that select usage events."""

    start: Annotated[
        str | None, Parameter(name="--from", help="First day or moment; by default 30 days before the end.")
    ] = None
    end: Annotated[
        str | None,
        Parameter(name="--to", help="Day or moment before which the range ends; by default the coming midnight."),
    ] = None
    timezone: Annotated[str, Parameter(help="Time zone of days, such as Europe/Berlin.")] = "UTC"
    user: Annotated[str | None, Parameter(help="Only this user.")] = None
    organization: Annotated[str | None, Parameter(help="Only this organisation.")] = None
    service: Annotated[str | None, Parameter(help="Only this service.")] = None
    model: Annotated[str | None, Parameter(help="Only this model.")] = None
    feature: Annotated[str | None, Parameter(help="Only this feature.")] = None

    def question(self) -> Question:
        """Return the question that the options describe."""
        span = time_range(self.start, self.end, self.timezone, now=SystemClock().now())
        filters = Filters(
            service=self.service,
            model=self.model,
            feature=self.feature,
            user_id=self.user,
            organization_id=self.organization,
        )
        return Question(span, filters)


def tell(shape: str, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], **more: Any) -> None:
    """Print rows in the given shape; `more` is added beside them in JSON only."""
    kept = [list(row) for row in rows]
    if shape == "json":
        objects: Sequence[Mapping[str, Any]] = [dict(zip(columns, row, strict=True)) for row in kept]
        print_json({**more, "rows": objects} if more else objects)
    elif shape == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_cell(value) for value in row] for row in kept])
    else:
        print_table(title, columns, kept)


def tell_omissions(question: Question) -> None:
    """Print on standard error what the answer had to leave out."""
    if question.omissions.note is not None:
        errors.print(f"Note: {question.omissions.note}; `faregate usage restore` brings a month back.")


def _cell(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return harmless(value) if isinstance(value, str) else value
