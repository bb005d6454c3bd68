"""Matching of bills with the ledger: every planted fault is found, and nothing else."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.analytics.bills.matching import Matcher
from faregate.analytics.bills.terms import MatchingTerms
from faregate.analytics.bills.token_parts import TokenPart, shares
from faregate.analytics.bills.values import BillLine, Difference, DifferenceKind, LedgerLine, Side, StoredBillLine

IMPORT = UUID(int=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
KNOWN = {"gpt", "claude"}
TERMS = MatchingTerms(lambda name, _provider: name, lambda model: model in KNOWN)
RATES = {
    "input_tokens": Decimal("0.0000025"),
    "cache_read_tokens": Decimal("0.00000125"),
    "output_tokens": Decimal("0.00001"),
}
Kind = DifferenceKind


def used(number: int, *, at: datetime = FIRST, model: str = "gpt", sent: int = 100, read: int = 0, made: int = 10, request: str | None = None, unpriced: bool = False) -> LedgerLine:  # fmt: skip
    counts = {"input_tokens": sent, "cache_read_tokens": read, "output_tokens": made}
    parts = [
        TokenPart(name, count, None if unpriced else count * RATES[name]) for name, count in counts.items() if count
    ]
    cost = None if unpriced else sum((part.cost_usd or Decimal(0) for part in parts), Decimal(0))
    return LedgerLine(f"use-{number}", 0, "openai", model, at, parts, cost, request)


def billed(number: int, line: LedgerLine, **changes: object) -> StoredBillLine:
    """Return a line of a bill by request, as the provider would write it for a line of the ledger."""
    tokens = {part.type: part.count for part in line.parts}
    made = BillLine(number, "openai", line.settled_at, line.settled_at, model=line.model, tokens=tokens, cost_usd=line.cost_usd, request_id=line.request_id)  # fmt: skip
    return StoredBillLine(IMPORT, replace(made, **changes))  # type: ignore[arg-type]


def by_day(lines: list[LedgerLine], *, costs: bool = True, tokens: bool = True) -> list[StoredBillLine]:
    """Return a bill by model, day and type, as the provider would write it for the lines."""
    sums: dict[tuple[str, datetime, str], tuple[int, Decimal]] = {}
    for line in lines:
        for part in line.parts:
            key = (line.model, datetime.combine(line.day, datetime.min.time(), UTC), part.type)
            count, cost = sums.get(key, (0, Decimal(0)))
            sums[key] = count + part.count, cost + (part.cost_usd or 0)
    return [
        StoredBillLine(
            IMPORT,
            BillLine(
                n,
                "openai",
                start,
                start + DAY,
                model=model,
                token_type=kind,
                tokens={kind: count} if tokens else {},
                cost_usd=cost if costs else None,
            ),
        )
        for n, ((model, start, kind), (count, cost)) in enumerate(sorted(sums.items()), 1)
    ]


def found(bill: list[StoredBillLine], ledger: list[LedgerLine], terms: MatchingTerms = TERMS) -> list[Difference]:
    return Matcher(terms).differences(bill, ledger)


def test_a_bill_that_agrees_has_no_difference() -> None:
    ledger = [
        used(n, at=FIRST + n * timedelta(hours=7), read=n % 3, request=f"r{n}" if n % 2 else None) for n in range(20)
    ]
    by_request = [billed(n, line) for n, line in enumerate(ledger) if line.request_id]

    assert found(by_request + by_day([line for line in ledger if not line.request_id]), ledger) == []
    assert found(by_day(ledger), ledger) == []
    assert found(by_day(ledger, tokens=False), ledger) == []
    assert found(by_day(ledger, costs=False), ledger) == []


FAULTS = {
    "a use that only the bill has": (Kind.LOST, Side.LEDGER),
    "a use that only the ledger has": (Kind.LOST, Side.BILL),
    "billed twice": (Kind.DOUBLED, Side.BILL),
    "settled twice": (Kind.DOUBLED, Side.LEDGER),
    "another price": (Kind.MISPRICED, None),
    "another day": (Kind.LATE, None),
    "an unknown model": (Kind.UNKNOWN_MODEL, None),
    "settled without a price": (Kind.UNKNOWN_MODEL, None),
    "tokens unseen": (Kind.UNSEEN_TOKENS, None),
    "a type of tokens unseen": (Kind.UNSEEN_TOKENS, None),
}


def planted(fault: str, line: LedgerLine, number: int) -> tuple[list[StoredBillLine], list[LedgerLine]]:
    """Return what both sides have of one use with this fault."""
    bill = billed(number, line)
    tokens = bill.line.tokens
    cost = line.cost_usd or Decimal(0)
    changed: dict[str, tuple[list[StoredBillLine], list[LedgerLine]]] = {
        "a use that only the bill has": ([bill], []),
        "a use that only the ledger has": ([], [line]),
        "billed twice": ([bill, billed(number + 1, line)], [line]),
        "settled twice": ([bill], [line, replace(line, usage_key=line.usage_key + "-again")]),
        "another price": ([billed(number, line, cost_usd=cost + Decimal("0.000000001"))], [line]),
        "another day": ([billed(number, line, start=line.settled_at - DAY, end=line.settled_at - DAY)], [line]),
        "an unknown model": ([billed(number, line, model="unheard-of")], []),
        "settled without a price": ([bill], [replace(line, cost_usd=None, parts=[replace(p, cost_usd=None) for p in line.parts])]),
        "tokens unseen": ([billed(number, line, tokens={**tokens, "output_tokens": 11}, cost_usd=cost + RATES["output_tokens"])], [line]),
        "a type of tokens unseen": ([billed(number, line, tokens={**tokens, "cache_write_tokens": 5})], [line]),
    }  # fmt: skip
    return changed[fault]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_request_is_found_with_its_rows(fault: str) -> None:
    sound = [used(n, request=f"r{n}") for n in range(3)]
    bill, ledger = planted(fault, used(9, request="r9"), 50)
    (difference,) = found([*(billed(n, line) for n, line in enumerate(sound)), *bill], [*sound, *ledger])
    doubled = difference.kind is Kind.DOUBLED

    assert (difference.kind, difference.side, difference.request_id) == (*FAULTS[fault], "r9")
    assert difference.bill_rows == tuple(
        row.row for row in (bill[1:] if fault == "billed twice" else bill if not doubled else [])
    )
    assert difference.lines == tuple(
        line.row for line in (ledger[1:] if fault == "settled twice" else ledger if not doubled else [])
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*FAULTS, "none"]), st.integers(0, 6), st.sampled_from(sorted(KNOWN))), max_size=40
    )
)
def test_all_planted_faults_are_found_and_no_other(plan: list[tuple[str, int, str]]) -> None:
    bill: list[StoredBillLine] = []
    ledger: list[LedgerLine] = []
    for number, (fault, day, model) in enumerate(plan):
        line = used(number, at=FIRST + day * DAY + timedelta(hours=number % 24), model=model, request=f"r{number}")
        more = planted(fault, line, 2 * number) if fault != "none" else ([billed(2 * number, line)], [line])
        bill, ledger = bill + more[0], ledger + more[1]
    # what only the ledger has can be told where the bill of that model and day is by request
    for day in range(7):
        for model in KNOWN:
            line = used(1000 + day, at=FIRST + day * DAY, model=model, request=f"anchor-{day}-{model}")
            bill, ledger = [*bill, billed(5000 + day, line)], [*ledger, line]

    counts = Counter((each.kind, each.side, each.request_id) for each in found(bill, ledger))
    assert counts == Counter((*FAULTS[fault], f"r{n}") for n, (fault, _, _) in enumerate(plan) if fault != "none")


def test_totals_find_each_kind() -> None:
    """One fault a day, on a bill by model, day and type."""
    ledger = [
        used(10 * day + n, at=FIRST + day * DAY + timedelta(hours=n), sent=100 + n)
        for day in range(0, 24, 4)
        for n in (1, 2, 3)
    ]
    days = {day: [line for line in ledger if line.day == (FIRST + day * DAY).date()] for day in range(0, 24, 4)}
    late = replace(days[8][0], settled_at=FIRST + 9 * DAY + timedelta(minutes=1))
    bill = by_day([line for line in ledger if line != days[0][0]])
    rows = {(row.line.day, row.line.token_type): row for row in bill}
    price = rows[(FIRST + 4 * DAY).date(), "output_tokens"]
    unseen = rows[(FIRST + 12 * DAY).date(), "input_tokens"]
    twice = rows[(FIRST + 16 * DAY).date(), "output_tokens"]
    bill.remove(price)
    bill.remove(unseen)
    bill += [
        replace(price, line=replace(price.line, cost_usd=(price.line.cost_usd or Decimal(0)) + 1)),
        replace(unseen, line=replace(unseen.line, tokens={"input_tokens": unseen.line.tokens["input_tokens"] + 7})),
        replace(twice, line=replace(twice.line, number=99)),
        StoredBillLine(IMPORT, BillLine(100, "openai", FIRST, FIRST + DAY, model="unheard-of", cost_usd=Decimal(3))),
    ]
    ledger = [late if line is days[8][0] else line for line in ledger]
    kinds = {(each.day.day, each.kind, each.side, each.token_type) for each in found(bill, ledger)}

    assert kinds == {
        (1, Kind.LOST, Side.BILL, None),
        (1, Kind.UNKNOWN_MODEL, None, None),
        (5, Kind.MISPRICED, None, "output_tokens"),
        (9, Kind.LATE, None, None),
        (13, Kind.UNSEEN_TOKENS, None, "input_tokens"),
        (17, Kind.DOUBLED, Side.BILL, "output_tokens"),
    }


def test_a_late_use_is_traced_to_its_line() -> None:
    ledger = [used(n, at=FIRST + DAY + timedelta(minutes=n), sent=50 + n) for n in range(4)]
    bill = by_day([replace(ledger[0], settled_at=FIRST + timedelta(hours=23)), *ledger[1:]])
    (difference,) = found(bill, ledger)

    assert (difference.kind, difference.day, difference.other_day) == (Kind.LATE, FIRST.date(), (FIRST + DAY).date())
    assert difference.lines == (ledger[0].row,)
    assert difference.amount_usd == 0
    strict = replace(TERMS, late_days=0)
    assert {each.kind for each in found(bill, ledger, strict)} == {Kind.LOST}


def test_what_one_side_lacks_altogether_is_one_difference_a_day() -> None:
    ledger = [used(n, at=FIRST + n * 5 * DAY) for n in range(3)]
    only_ledger, only_bill = found([], ledger), found(by_day(ledger), [])

    assert [(each.kind, each.side) for each in only_ledger] == [(Kind.LOST, Side.BILL)] * 3
    assert [(each.kind, each.side) for each in only_bill] == [(Kind.LOST, Side.LEDGER)] * 3
    assert sum(each.amount_usd for each in only_ledger) == -sum(each.amount_usd for each in only_bill)


def test_two_equal_calls_are_not_doubled() -> None:
    ledger = [used(1), used(2)]
    bill = [billed(n, line) for n, line in enumerate(ledger)]

    assert found(bill, ledger) == []
    assert [each.kind for each in found([*bill, billed(3, ledger[0])], ledger)] == [Kind.DOUBLED]


def test_a_bill_of_one_input_is_compared_with_all_of_ours() -> None:
    line = used(1, sent=60, read=40)
    bill = [billed(1, line, tokens={"prompt_tokens": 100, "output_tokens": 10})]

    assert found(bill, [line]) == []
    assert [
        each.token_type for each in found([billed(1, line, tokens={"prompt_tokens": 101, "output_tokens": 10})], [line])
    ] == ["prompt_tokens"]


def test_the_tolerance_is_the_largest_difference_that_is_none() -> None:
    line = used(1, request="r")
    cost = line.cost_usd or Decimal(0)
    bill = [billed(1, line, cost_usd=cost + Decimal("0.001"))]

    assert found(bill, [line], replace(TERMS, tolerance_usd=Decimal("0.001"))) == []
    (difference,) = found(bill, [line], replace(TERMS, tolerance_usd=Decimal("0.0009")))
    assert (difference.kind, difference.amount_usd) == (Kind.MISPRICED, Decimal("0.001"))


@given(st.decimals(-10, 10**6, places=12), st.lists(st.integers(0, 10**9).map(Decimal), min_size=1, max_size=8))
def test_shares_sum_to_the_total_exactly(total: Decimal, weights: list[Decimal]) -> None:
    for quantum in (Decimal("1E-18"), Decimal("0.000001")):
        if total == total.quantize(quantum):
            divided = shares(total, weights, quantum=quantum)
            assert sum(divided) == total
            assert all(part == 0 for part, weight in zip(divided, weights, strict=True) if not weight and any(weights))
