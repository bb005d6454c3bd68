"""Lines of a statement of credits. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

__all__ = ["IStatement", "StatementLine", "statement_lines", "statement_notes"]

_LINES = {
    "used": ("Used", -1),
    "expired": ("Expired", -1),
    "voided": ("Voided", -1),
    "refunded": ("Refunded", 1),
    "adjusted": ("Adjusted", 1),
    "charged_back": ("Charged back", -1),
}
"""The lines between grants and the closing balance, and the sign with which each is added."""


class IStatement(Protocol):
    """What the lines are made of: a statement of the ledger, or its answer over HTTP."""

    @property
    def opening(self) -> Decimal: ...
    @property
    def granted(self) -> Mapping[str, Decimal]: ...
    @property
    def used_on_limit(self) -> Decimal: ...
    @property
    def shortfall(self) -> Decimal: ...
    @property
    def closing(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line; all between the first and the last add up to their difference."""

    name: str
    amount: Decimal
    bold: bool = False


def statement_lines(found: IStatement) -> Iterator[StatementLine]:
    """Yield the opening balance, every change with its sign, and the closing balance."""
    yield StatementLine("Opening balance", found.opening, bold=True)
    for source, amount in found.granted.items():
        yield StatementLine(f"Granted ({source})", amount)
    for field, (name, sign) in _LINES.items():
        change: Decimal = getattr(found, field)
        if change:
            yield StatementLine(name, sign * change)
    yield StatementLine("Closing balance", found.closing, bold=True)


def statement_notes(found: IStatement) -> Iterator[str]:
    """Yield what the lines do not say."""
    if found.used_on_limit:
        yield f"Of the used credits {found.used_on_limit:,f} were used on the credit limit."
    if found.shortfall:
        yield f"Uses cost {found.shortfall:,f} credits more than was there; these were not charged."
