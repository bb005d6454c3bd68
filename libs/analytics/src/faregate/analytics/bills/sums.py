"""Sums of tokens and cost of one side of a comparison. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from faregate.analytics.bills.token_parts import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, INPUT
from faregate.analytics.bills.values import LedgerLine, StoredBillLine

__all__ = ["INPUTS", "PROMPT", "Sums", "alike", "of_bill", "of_ledger", "types_of"]

PROMPT = "prompt_tokens"
"""All input, on bills that do not tell its parts apart."""

INPUTS = (INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H)


@dataclass(slots=True)
class Sums:
    """Tokens and cost by type, and the lines that they are sums of.

    Attributes:
        tokens: by type; a type that is missing is not told.
        costs: by type; the type None holds what is told for all types together.
        is_complete: whether every line has a cost.
    """

    tokens: dict[str, int] = field(default_factory=dict[str, int])
    costs: dict[str | None, Decimal] = field(default_factory=dict[str | None, Decimal])
    rows: list[Any] = field(default_factory=list[Any])
    is_complete: bool = True

    @property
    def cost(self) -> Decimal:
        """The cost of all types."""
        return sum(self.costs.values(), Decimal(0))

    def folded(self, *, prompt: bool, all_costs: bool) -> "Sums":
        """Return the sums with all input as one type, or all costs as one, as the other side tells them."""
        tokens, costs = dict(self.tokens), dict(self.costs)
        if prompt and PROMPT not in tokens:
            tokens[PROMPT] = sum(tokens.pop(name, 0) for name in INPUTS)
            inputs = [costs.pop(name) for name in INPUTS if name in costs]
            costs |= {PROMPT: sum(inputs, Decimal(0))} if inputs else {}
        if all_costs:
            whole = sum(costs.values(), Decimal(0))
            costs = dict[str | None, Decimal]({None: whole} if costs else {})
        return Sums(tokens, costs, self.rows, self.is_complete)


def of_bill(lines: Iterable[StoredBillLine]) -> Sums:
    """Return the sums of lines of a bill."""
    found = Sums()
    for stored in lines:
        line = stored.line
        found.rows.append(stored.row)
        for name, count in line.tokens.items():
            found.tokens[name] = found.tokens.get(name, 0) + count
        if line.cost_usd is not None:
            found.costs[line.token_type] = found.costs.get(line.token_type, Decimal(0)) + line.cost_usd
    return found


def of_ledger(lines: Iterable[LedgerLine]) -> Sums:
    """Return the sums of lines of the ledger."""
    found = Sums()
    for line in lines:
        found.rows.append(line.row)
        found.is_complete = found.is_complete and line.cost_usd is not None
        for part in line.parts:
            found.tokens[part.type] = found.tokens.get(part.type, 0) + part.count
            if part.cost_usd is not None:
                found.costs[part.type] = found.costs.get(part.type, Decimal(0)) + part.cost_usd
    return found


def alike(bill: Sums, ledger: Sums) -> tuple[Sums, Sums]:
    """Return both sides with the same types: as finely as both tell them."""
    prompt = PROMPT in bill.tokens
    all_costs = None in bill.costs or (prompt and bool(bill.costs))
    return bill.folded(prompt=prompt, all_costs=all_costs), ledger.folded(prompt=prompt, all_costs=all_costs)


def types_of(bill: Sums, ledger: Sums) -> Sequence[str]:
    """Return the types whose tokens the bill tells, or whose cost either side tells, in one order."""
    named = {*bill.tokens, *(name for name in (*bill.costs, *ledger.costs) if name is not None)}
    return sorted(named)
