"""Closed months as rows of tables. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from faregate.credit.closing.journal import JournalLine
from faregate.credit.closing.values import Close, LateFact, WalletClose

__all__ = [
    "CLOSE_COLUMNS",
    "JOURNAL_COLUMNS",
    "LATE_COLUMNS",
    "STATEMENT_COLUMNS",
    "close_rows",
    "journal_rows",
    "late_rows",
    "statement_rows",
]

CLOSE_COLUMNS = (
    "period",
    "timezone",
    "since",
    "until",
    "wallets",
    "transfers",
    "late",
    "opening",
    "used",
    "closing",
    "revenue_usd",
)
JOURNAL_COLUMNS = ("entry", "date", "account", "name", "memo", "debit", "credit", "unit")
LATE_COLUMNS = ("kind", "owner_id", "happened_at", "recorded_at", "transaction_id", "credits", "grant_id", "usd")
STATEMENT_COLUMNS = (
    "owner_id",
    "opening",
    "granted",
    "used",
    "used_on_limit",
    "expired",
    "voided",
    "refunded",
    "adjusted",
    "charged_back",
    "shortfall",
    "closing",
    "deferred_opening_usd",
    "received_usd",
    "repaid_usd",
    "revenue_usd",
    "breakage_usd",
    "forfeited_usd",
    "deferred_closing_usd",
)
"""`granted` is the sum over all sources."""


def close_rows(closes: Iterable[Close]) -> list[Sequence[Any]]:
    """Return one row for each close."""
    return [
        (
            close.period,
            close.timezone,
            close.since,
            close.until,
            close.wallets,
            close.transfers,
            close.late,
            close.statement.opening,
            close.statement.used,
            close.statement.closing,
            close.statement.value.revenue,
        )
        for close in closes
    ]


def journal_rows(lines: Iterable[JournalLine]) -> list[Sequence[Any]]:
    """Return one row for each line of a journal."""
    return [tuple(getattr(line, name) for name in JOURNAL_COLUMNS) for line in lines]


def late_rows(facts: Iterable[LateFact]) -> list[Sequence[Any]]:
    """Return one row for each late fact."""
    return [tuple(getattr(fact, name) for name in LATE_COLUMNS) for fact in facts]


def statement_rows(
    statements: Iterable[WalletClose], columns: Sequence[str] = STATEMENT_COLUMNS
) -> list[Sequence[Any]]:
    """Return one row for each statement, with these columns."""
    return [tuple(_cell(statement, name) for name in columns) for statement in statements]


def _cell(statement: WalletClose, name: str) -> Any:
    if name == "granted":
        return sum(statement.granted.values(), Decimal(0))
    if name.endswith("_usd"):
        return getattr(statement.value, name.removesuffix("_usd"))
    return getattr(statement, name)
