"""Options and values that several commands share."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from cyclopts import Parameter

from faregate.cli.shared.output import Format
from faregate.core.errors import InvalidError
from faregate.core.values.moments import moment_in
from faregate.wire.credits import to_micros

__all__ = ["Actor", "Limit", "Output", "Reason", "decimal_of", "micros_of", "moment_of"]

Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]
Reason = Annotated[str, Parameter(help="Reason, as the ledger shows it.")]
Actor = Annotated[str | None, Parameter(help="Person on whose behalf you act; your login name by default.")]
Limit = Annotated[int, Parameter(help="Highest number of rows.")]


def micros_of(text: str, *, param: str = "credits") -> int:
    """Return an amount of credits as typed, in micro-credits, or raise `InvalidError`."""
    return to_micros(decimal_of(text, param=param), param=param)


def decimal_of(text: str, *, param: str) -> Decimal:
    """Return a number as typed, or raise `InvalidError`, also for NaN and infinity."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidError(f"{param} {text!r} is not a number; write it as 12.5", param=param)
    return number


def moment_of(text: str, *, param: str) -> datetime:
    """Return a moment as typed: an ISO 8601 date or time; without an offset it is UTC. Raises `InvalidError`."""
    return moment_in(text, param=param)
