"""The rules of the close alone: columns of statements, division of prices, months and journal lines."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone
from faregate.credit.closing.journal import JournalAccount, check_accounts, credits_journal, usd_journal
from faregate.credit.closing.movements import (
    FATES,
    MOVEMENTS,
    SIGNS,
    Fate,
    Movement,
    fate_of,
    movement_of,
    movements_of,
    signed,
)
from faregate.credit.closing.payments import cents_of
from faregate.credit.closing.periods import ClosingMonth, parse_month
from faregate.credit.closing.recognition import GrantFate, PaidValue, paid_value
from faregate.credit.closing.values import PaidValues
from faregate.credit.ledger.accounts import FLOWS, Account, TransferKind

FLOW_LIST = [
    (kind, debit, credit) for kind, (debits, credits) in FLOWS.items() for debit in debits for credit in credits
]


def test_every_kind_of_transfer_has_a_column_or_moves_no_wallet() -> None:
    assert set(MOVEMENTS) == set(TransferKind)
    assert set(SIGNS) == set(FATES) == set(Movement)
    for kind, debit, credit in FLOW_LIST:
        assert movement_of(kind, debit) is not None or signed(debit, credit, 1) == 0, (kind, debit, credit)
    still = {kind for kind in TransferKind if all(signed(d, c, 1) == 0 for k, d, c in FLOW_LIST if k is kind)}
    assert {kind for kind, movement in MOVEMENTS.items() if movement is None} == still


def test_upward_adjustment_is_no_grant() -> None:
    assert movement_of(TransferKind.GRANT, Account.ADJUSTMENT) is Movement.ADJUSTED
    assert movement_of(TransferKind.GRANT, Account.PURCHASES) is Movement.GRANTED


@pytest.mark.parametrize(
    ("kind", "fate"),
    [
        (TransferKind.GRANT, None),
        (TransferKind.CHARGE, Fate.USED),
        (TransferKind.REPRICE, Fate.USED),
        (TransferKind.REFUND, Fate.USED),
        (TransferKind.EXPIRY, Fate.EXPIRED),
        (TransferKind.GRANT_VOID, Fate.FORFEITED),
        (TransferKind.ADJUSTMENT, Fate.FORFEITED),
        (TransferKind.CHARGEBACK, Fate.FORFEITED),
        (TransferKind.SHORTFALL, None),
    ],
)
def test_fate_of_a_slice(kind: TransferKind, fate: Fate | None) -> None:
    assert fate_of(kind) is fate


@given(st.lists(st.tuples(st.sampled_from(FLOW_LIST), st.integers(1, 10**15))))
def test_the_columns_of_any_transfers_add_up_to_the_change_of_the_balance(
    moves: list[tuple[tuple[TransferKind, Account, Account], int]],
) -> None:
    sums = movements_of((kind, debit, credit, amount) for (kind, debit, credit), amount in moves)
    change = sum(signed(debit, credit, amount) for (_, debit, credit), amount in moves)

    assert sum(SIGNS[movement] * amount for movement, amount in sums.items()) == change


@pytest.mark.parametrize(
    ("paid", "fate", "value"),
    [
        (1000, GrantFate(100, 0, 0, 0), (0, 0, 0, 1000)),
        (1000, GrantFate(100, 25, 0, 0), (250, 0, 0, 750)),
        (1000, GrantFate(100, 25, 75, 0), (250, 750, 0, 0)),
        (1000, GrantFate(3, 1, 1, 1), (333, 334, 333, 0)),
        (1, GrantFate(2, 1, 0, 0), (1, 0, 0, 0)),
        (0, GrantFate(100, 25, 0, 0), (0, 0, 0, 0)),
        (1000, GrantFate(), (0, 0, 0, 1000)),
    ],
)
def test_division_of_a_price(paid: int, fate: GrantFate, value: tuple[int, int, int, int]) -> None:
    found = paid_value(paid, fate)

    assert (found.revenue, found.breakage, found.forfeited, found.deferred) == value


PARTS = st.lists(st.integers(0, 10**15), min_size=4, max_size=4)


@given(st.integers(0, 10**11), PARTS)
def test_the_parts_of_any_price_are_not_negative_and_add_up_to_the_cent(paid: int, parts: list[int]) -> None:
    used, expired, forfeited, left = parts
    value = paid_value(paid, GrantFate(sum(parts), used, expired, forfeited))

    assert value.revenue + value.breakage + value.forfeited + value.deferred == paid == value.paid
    assert min(value.revenue, value.breakage, value.forfeited, value.deferred) >= 0
    if left == 0 < sum(parts):
        assert value.deferred == 0
    if used == sum(parts) > 0:
        assert value.revenue == paid


@given(
    st.integers(0, 10**9), st.lists(st.tuples(st.sampled_from(["used", "expired", "forfeited"]), st.integers(1, 10**9)))
)
def test_months_added_together_give_the_cents_of_one_long_period(paid: int, steps: list[tuple[str, int]]) -> None:
    """And revenue never falls while credits are used, nor does what is deferred rise."""
    granted = sum(amount for _, amount in steps) + 7
    fate, months = GrantFate(granted), list[PaidValue]()
    before = paid_value(paid, fate)
    for name, amount in steps:
        fate += GrantFate(**{name: amount})
        after = paid_value(paid, fate)
        months.append(after - before)
        before = after
        assert months[-1].deferred <= 0
        assert name != "used" or months[-1].revenue >= 0

    total = paid_value(paid, fate)
    assert sum(month.revenue for month in months) == total.revenue
    assert sum(month.breakage for month in months) == total.breakage
    assert sum(month.deferred for month in months) == total.deferred - paid


@pytest.mark.parametrize(
    ("text", "zone", "since", "until"),
    [
        ("2026-10", "UTC", (2026, 10, 1, 0), (2026, 11, 1, 0)),
        ("2026-12", "UTC", (2026, 12, 1, 0), (2027, 1, 1, 0)),
        ("2026-10", "Europe/Berlin", (2026, 9, 30, 22), (2026, 10, 31, 23)),
        ("2026-03", "America/New_York", (2026, 3, 1, 5), (2026, 4, 1, 4)),
    ],
)
def test_bounds_of_a_month(text: str, zone: str, since: tuple[int, ...], until: tuple[int, ...]) -> None:
    assert parse_month(text).bounds(time_zone(zone)) == (
        datetime(*since, tzinfo=UTC),  # type: ignore[misc, arg-type]
        datetime(*until, tzinfo=UTC),  # type: ignore[misc, arg-type]
    )


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "October", "", "2026-10-01", "0000-01", "9999-12"])
def test_text_that_is_no_month_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InvalidError, match="write it as 2026-10"):
        parse_month(text)


def test_last_day_of_a_month() -> None:
    assert (ClosingMonth(2028, 2).last_day, ClosingMonth(2026, 12).last_day) == (date(2028, 2, 29), date(2026, 12, 31))


@pytest.mark.parametrize(("amount", "cents"), [("9.99", 999), ("10", 1000), ("-0.01", -1), ("1e2", 10000), ("0.1", 10)])
def test_payments_are_whole_cents(amount: str, cents: int) -> None:
    assert cents_of(Decimal(amount)) == cents


@pytest.mark.parametrize(
    ("amount", "problem"), [("0.001", "2 decimal"), ("0", "not be 0"), ("NaN", "number"), ("1e9", "number")]
)
def test_payment_that_is_not_whole_cents_is_refused(amount: str, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        cents_of(Decimal(amount))


DAY = date(2026, 10, 31)
AMOUNTS = st.decimals(-(10**7), 10**7, places=2)


@given(st.lists(AMOUNTS, min_size=5, max_size=5))
def test_debits_equal_credits_in_every_entry(amounts: list[Decimal]) -> None:
    received, repaid, revenue, breakage, forfeited = amounts
    value = PaidValues(Decimal(0), received, repaid, revenue, breakage, forfeited, sum(amounts, Decimal(0)))
    lines = usd_journal("2026-10", DAY, value, check_accounts({}))
    entries = {line.entry for line in lines}

    assert all(line.debit >= 0 and line.credit >= 0 and bool(line.debit) != bool(line.credit) for line in lines)
    for entry in entries:
        pair = [line for line in lines if line.entry == entry]
        assert sum(line.debit for line in pair) == sum(line.credit for line in pair) > 0
    change = sum(line.credit - line.debit for line in lines if line.name == "deferred_revenue")
    assert change == received - repaid - revenue - breakage - forfeited


def test_accounts_have_the_codes_of_the_deployment() -> None:
    accounts = check_accounts({"cash": "1200", "usage_revenue": " 4000 "})
    value = PaidValues(Decimal(0), Decimal(10), Decimal(0), Decimal(4), Decimal(0), Decimal(0), Decimal(6))
    lines = usd_journal("2026-10", DAY, value, accounts)

    assert [(line.account, line.debit, line.credit) for line in lines] == [
        ("1200", 10, 0),
        ("deferred_revenue", 0, 10),
        ("deferred_revenue", 4, 0),
        ("4000", 0, 4),
    ]


def test_negative_revenue_is_written_the_other_way_round() -> None:
    value = PaidValues(Decimal(0), Decimal(0), Decimal(5), Decimal(-5), Decimal(0), Decimal(0), Decimal(0))
    lines = usd_journal("2026-10", DAY, value, check_accounts({}))

    assert [(line.name, line.debit, line.credit) for line in lines][2:] == [
        ("usage_revenue", 5, 0),
        ("deferred_revenue", 0, 5),
    ]


def test_every_account_of_the_ledger_has_one_in_the_journal() -> None:
    flows = {("wallet" if one is not Account.WALLET else "revenue", one.name.lower()): Decimal(1) for one in Account}
    names = {line.name for line in credits_journal("2026-10", DAY, flows, check_accounts({}))}

    assert names == {account.value for account in JournalAccount if account.value.startswith("credits_")}


@pytest.mark.parametrize(
    ("codes", "problem"),
    [({"bank": "1"}, "'bank', which is not one of breakage_revenue, cash"), ({"cash": " "}, "cash")],
)
def test_unknown_account_is_refused_with_the_known_ones(codes: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        check_accounts(codes)
