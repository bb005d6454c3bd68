"""Matching of bill and ledger, and classes of differences. Pure.

Lines of the bill that name a request are matched with the lines of that request, all others by the totals of model and day.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from faregate.analytics.bills.sums import Sums, alike, of_bill, of_ledger, types_of
from faregate.analytics.bills.terms import MatchingTerms
from faregate.analytics.bills.totals import compare_totals
from faregate.analytics.bills.values import Difference, DifferenceKind, LedgerLine, Side, StoredBillLine

__all__ = ["Matcher"]

T = TypeVar("T")


class Matcher:
    """Finds the differences between the lines of both sides."""

    def __init__(self, terms: MatchingTerms) -> None:
        self._terms = terms
        self._found: list[Difference] = []

    def differences(self, bill: Sequence[StoredBillLine], ledger: Sequence[LedgerLine]) -> list[Difference]:
        """Return all differences, by day, model and kind. Every line of both sides is compared once."""
        self._found = []
        rest_of_bill, rest_of_ledger = self._by_request(bill, ledger)
        self._found += compare_totals(rest_of_bill, rest_of_ledger, self._terms)
        return sorted(self._found, key=_order)

    def _by_request(
        self, bill: Sequence[StoredBillLine], ledger: Sequence[LedgerLine]
    ) -> tuple[list[StoredBillLine], list[LedgerLine]]:
        """Compare requests that both sides name, and return the lines that are left for totals."""
        billed, rest_of_bill = _grouped(bill, lambda each: each.line.request_id)
        used, rest_of_ledger = _grouped(ledger, lambda each: each.request_id)
        days_with_requests = {(self._model(each), each.line.day) for lines in billed.values() for each in lines}
        without_id = {(self._model_of(line), line.day) for line in rest_of_ledger}
        for request_id, lines in billed.items():
            if request_id in used:
                self._request(request_id, lines, used[request_id])
            elif any((self._model(each), each.line.day) in without_id for each in lines):
                rest_of_bill += lines  # lines of the ledger that name no request may be about it
            else:
                self._only_billed(request_id, lines)
        for request_id, known in used.items():
            if request_id in billed:
                continue
            if any((self._model_of(line), line.day) in days_with_requests for line in known):
                self._only_used(request_id, known)
            else:
                rest_of_ledger += known
        return rest_of_bill, rest_of_ledger

    def _request(self, request_id: str, lines: Sequence[StoredBillLine], known: Sequence[LedgerLine]) -> None:
        lines, known = self._once(request_id, lines, known)
        both = of_bill(lines), of_ledger(known)
        bill, ledger = alike(*both)
        day, model = lines[0].line.day, lines[0].line.model
        if not ledger.is_complete and bill.cost > ledger.cost:
            self._note(DifferenceKind.UNKNOWN_MODEL, day, model, both, request_id=request_id)
        elif (kind := _token_difference(bill, ledger)) is not None:
            side = Side.BILL if kind is DifferenceKind.LOST else None
            self._note(kind, day, model, both, request_id=request_id, side=side)
        elif bill.costs and abs(bill.cost - ledger.cost) > self._terms.tolerance_usd:
            self._note(DifferenceKind.MISPRICED, day, model, both, request_id=request_id)
        if day != known[0].day:
            self._note(DifferenceKind.LATE, day, model, both, request_id=request_id, other_day=known[0].day)

    def _once(
        self, request_id: str, lines: Sequence[StoredBillLine], known: Sequence[LedgerLine]
    ) -> tuple[Sequence[StoredBillLine], Sequence[LedgerLine]]:
        """Note what stands twice on one side, and return what is left of each."""
        first: dict[str | None, StoredBillLine] = {}
        again: list[StoredBillLine] = []
        for each in lines:
            kept = first.setdefault(each.line.token_type, each)
            if kept is not each:
                again.append(each)
        if again:
            self._note(
                DifferenceKind.DOUBLED,
                again[0].line.day,
                again[0].line.model,
                (of_bill(again), Sums()),
                request_id=request_id,
                side=Side.BILL,
            )
        key = min(known, key=lambda line: (line.settled_at, line.row)).usage_key
        other = [line for line in known if line.usage_key != key]
        if other:
            both = Sums(), of_ledger(other)
            day, model = other[0].day, other[0].model
            self._note(DifferenceKind.DOUBLED, day, model, both, request_id=request_id, side=Side.LEDGER)
        return list(first.values()), [line for line in known if line.usage_key == key]

    def _only_billed(self, request_id: str, lines: Sequence[StoredBillLine]) -> None:
        line = lines[0].line
        is_known = self._terms.has_price(self._model(lines[0]))
        kind = DifferenceKind.LOST if is_known else DifferenceKind.UNKNOWN_MODEL
        side = Side.LEDGER if is_known else None
        self._note(kind, line.day, line.model, (of_bill(lines), Sums()), request_id=request_id, side=side)

    def _only_used(self, request_id: str, known: Sequence[LedgerLine]) -> None:
        line = known[0]
        both = Sums(), of_ledger(known)
        self._note(DifferenceKind.LOST, line.day, line.model, both, request_id=request_id, side=Side.BILL)

    def _note(
        self,
        kind: DifferenceKind,
        day: date,
        model: str | None,
        both: tuple[Sums, Sums],
        *,
        request_id: str,
        side: Side | None = None,
        other_day: date | None = None,
    ) -> None:
        bill, ledger = both
        difference = Difference(
            kind,
            day,
            model,
            side=side,
            other_day=other_day,
            request_id=request_id,
            billed_usd=bill.cost if bill.rows else None,
            ledger_usd=ledger.cost if ledger.rows else None,
            billed_tokens=sum(bill.tokens.values()) if bill.tokens else None,
            ledger_tokens=sum(ledger.tokens.values()) if ledger.rows else None,
            bill_rows=tuple(bill.rows),
            lines=tuple(ledger.rows),
        )
        self._found.append(difference)

    def _model(self, stored: StoredBillLine) -> str:
        return self._terms.model_of(stored.line.model or "", stored.line.provider)

    def _model_of(self, line: LedgerLine) -> str:
        return self._terms.model_of(line.model, line.provider)


def _token_difference(bill: Sums, ledger: Sums) -> DifferenceKind | None:
    """Return whether the bill has tokens that the ledger lacks, or the ledger some that the bill lacks."""
    told = [name for name in types_of(bill, ledger) if name in bill.tokens]
    if any(bill.tokens[name] > ledger.tokens.get(name, 0) for name in told):
        return DifferenceKind.UNSEEN_TOKENS
    if any(bill.tokens[name] < ledger.tokens.get(name, 0) for name in told):
        return DifferenceKind.LOST
    return None


def _grouped(items: Iterable[T], key: Callable[[T], str | None]) -> tuple[Mapping[str, list[T]], list[T]]:
    """Return the items by their key, and those without one."""
    found: defaultdict[str, list[T]] = defaultdict(list)
    rest: list[T] = []
    for item in items:
        name = key(item)
        (rest if name is None else found[name]).append(item)
    return found, rest


def _order(each: Difference) -> tuple[date, str, str, str, str]:
    return each.day, each.model or "", each.kind, each.token_type or "", each.request_id or ""
