"""Journal lines of a closed month for the general ledger. Pure.

Each entry is one amount that is debited to one account and credited to another, so that debits equal credits in every entry and in
total. An entry whose amount is negative, such as revenue that a returned payment takes away, is written the other way round.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from faregate.core.errors import InvalidError
from faregate.credit.closing.values import PaidValues
from faregate.credit.ledger.accounts import Account

__all__ = ["JournalAccount", "JournalLine", "check_accounts", "credits_journal", "usd_journal"]

_CODE_LENGTH_MAX = 64


class JournalAccount(StrEnum):
    """An account of the general ledger; a deployment maps each to its own code."""

    CASH = "cash"
    DEFERRED_REVENUE = "deferred_revenue"
    USAGE_REVENUE = "usage_revenue"
    BREAKAGE_REVENUE = "breakage_revenue"
    FORFEITED_REVENUE = "forfeited_revenue"
    CREDITS_WALLET = "credits_wallet"
    CREDITS_REVENUE = "credits_revenue"
    CREDITS_PROMOTION = "credits_promotion"
    CREDITS_BREAKAGE = "credits_breakage"
    CREDITS_SHORTFALL = "credits_shortfall"
    CREDITS_PURCHASES = "credits_purchases"
    CREDITS_ADJUSTMENT = "credits_adjustment"


_CREDITS: Mapping[Account, JournalAccount] = {
    Account.WALLET: JournalAccount.CREDITS_WALLET,
    Account.REVENUE: JournalAccount.CREDITS_REVENUE,
    Account.PROMOTION: JournalAccount.CREDITS_PROMOTION,
    Account.BREAKAGE: JournalAccount.CREDITS_BREAKAGE,
    Account.SHORTFALL: JournalAccount.CREDITS_SHORTFALL,
    Account.PURCHASES: JournalAccount.CREDITS_PURCHASES,
    Account.ADJUSTMENT: JournalAccount.CREDITS_ADJUSTMENT,
}


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of the journal; `date` as ISO 8601, either `debit` or `credit` is 0, `unit` is USD or credits."""

    entry: str
    date: str
    account: str
    name: str
    memo: str
    debit: Decimal
    credit: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class _Entry:
    memo: str
    debit: JournalAccount
    credit: JournalAccount
    amount: Decimal


def check_accounts(codes: Mapping[str, str]) -> Mapping[JournalAccount, str]:
    """Return the code of each account; one that is not mapped has its own name as its code.

    Raises:
        InvalidError: a name is not an account of the journal, or a code is empty or too long.
    """
    known = {account.value for account in JournalAccount}
    unknown = sorted(set(codes) - known)
    if unknown:
        raise InvalidError(
            f"accounts names {unknown[0][:40]!r}, which is not one of {', '.join(sorted(known))}", param="accounts"
        )
    for name, code in codes.items():
        if not 1 <= len(code.strip()) <= _CODE_LENGTH_MAX:
            raise InvalidError(
                f"accounts: the code of {name} must have 1 to {_CODE_LENGTH_MAX} characters", param="accounts"
            )
    return {account: codes.get(account.value, account.value).strip() for account in JournalAccount}


def usd_journal(period: str, day: date, value: PaidValues, accounts: Mapping[JournalAccount, str]) -> list[JournalLine]:
    """Return the lines of the paid value: payments, and what they became."""
    deferred = JournalAccount.DEFERRED_REVENUE
    entries = [
        _Entry("payments received", JournalAccount.CASH, deferred, value.received),
        _Entry("payments returned", deferred, JournalAccount.CASH, value.repaid),
        _Entry("credits used", deferred, JournalAccount.USAGE_REVENUE, value.revenue),
        _Entry("credits expired", deferred, JournalAccount.BREAKAGE_REVENUE, value.breakage),
        _Entry("credits taken back", deferred, JournalAccount.FORFEITED_REVENUE, value.forfeited),
    ]
    return _lines(period, day, entries, accounts, unit="USD")


def credits_journal(
    period: str, day: date, flows: Mapping[tuple[str, str], Decimal], accounts: Mapping[JournalAccount, str]
) -> list[JournalLine]:
    """Return the lines of the credits that moved between the accounts of the ledger, as statistical entries."""
    entries = [
        _Entry(f"credits from {debit} to {credit}", _in_credits(debit), _in_credits(credit), amount)
        for (debit, credit), amount in sorted(flows.items())
    ]
    return _lines(period, day, entries, accounts, unit="credits")


def _in_credits(name: str) -> JournalAccount:
    return _CREDITS[Account[name.upper()]]


def _lines(
    period: str, day: date, entries: Iterable[_Entry], accounts: Mapping[JournalAccount, str], *, unit: str
) -> list[JournalLine]:
    moved = [entry for entry in entries if entry.amount]
    return [
        line
        for number, entry in enumerate(moved, start=1)
        for line in _pair(f"{period}-{unit.lower()}-{number}", day, entry, accounts, unit)
    ]


def _pair(
    name: str, day: date, entry: _Entry, accounts: Mapping[JournalAccount, str], unit: str
) -> tuple[JournalLine, JournalLine]:
    amount, zero = abs(entry.amount), Decimal(0)
    debit, credit = (entry.debit, entry.credit) if entry.amount > 0 else (entry.credit, entry.debit)
    return (
        JournalLine(name, day.isoformat(), accounts[debit], debit.value, entry.memo, amount, zero, unit),
        JournalLine(name, day.isoformat(), accounts[credit], credit.value, entry.memo, zero, amount, unit),
    )
