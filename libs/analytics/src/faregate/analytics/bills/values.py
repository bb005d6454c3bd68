"""Values of provider bills. Frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from faregate.analytics.bills.token_parts import TokenPart

__all__ = [
    "BillImport",
    "BillLine",
    "BillSource",
    "Comparison",
    "Difference",
    "DifferenceKind",
    "LedgerLine",
    "Side",
    "StoredBillLine",
]


class BillSource(StrEnum):
    """The export that a bill was read from."""

    OPENAI = "openai"
    """The costs or usage of an organisation at OpenAI, as its API or its CSV gives them."""
    ANTHROPIC = "anthropic"
    """The cost report or usage report of an organisation at Anthropic."""
    OPENROUTER = "openrouter"
    """The activity at OpenRouter: by day as its API gives it, or by request as its CSV does."""
    CSV = "csv"
    """Any CSV, with the names of its columns."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a provider's export.

    Attributes:
        number: place in the file, from 1; of a CSV the line of its text.
        start, end: the period that the line is about, at most one day of UTC; a request has a moment of length 0.
        token_type: the only type of tokens that the line is about; None for all of them.
        tokens: by type, without overlap; `prompt_tokens` is all input, where the export does not tell its parts apart.
        detail: what else tells lines of one period apart: project, key, workspace, tier.
    """

    number: int
    provider: str
    start: datetime
    end: datetime
    model: str | None = None
    token_type: str | None = None
    tokens: Mapping[str, int] = field(default_factory=dict[str, int])
    cost_usd: Decimal | None = None
    requests: int | None = None
    request_id: str | None = None
    detail: str = ""

    @property
    def day(self) -> date:
        """The day in UTC."""
        return self.start.date()


@dataclass(frozen=True, slots=True)
class StoredBillLine:
    """A line of a bill in the database: the import and the line's number in it are its id."""

    import_id: UUID
    line: BillLine

    @property
    def row(self) -> tuple[UUID, int]:
        """What traces a difference to the line."""
        return self.import_id, self.line.number


@dataclass(frozen=True, slots=True)
class BillImport:
    """One import of a file.

    Attributes:
        lines: lines of the file; `added` of them are new, `known` were there before.
        replaced: lines of earlier imports that these take the place of.
        current: lines of this import that no later one has replaced.
    """

    import_id: UUID
    source: BillSource
    provider: str
    file_name: str | None
    lines: int
    added: int
    known: int
    replaced: int
    current: int
    cost_usd: Decimal
    start: datetime | None
    end: datetime | None
    actor: str | None
    imported_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A usage line as bills are compared with it; its `cost_usd` is None if it has no price."""

    usage_key: str
    line_no: int
    provider: str | None
    model: str
    settled_at: datetime
    parts: Sequence[TokenPart]
    cost_usd: Decimal | None
    request_id: str | None = None

    @property
    def row(self) -> tuple[str, int]:
        """What traces a difference to the line."""
        return self.usage_key, self.line_no

    @property
    def day(self) -> date:
        """The day in UTC on which it was settled."""
        return self.settled_at.date()


class DifferenceKind(StrEnum):
    """What differs between a bill and the ledger."""

    LOST = "lost"
    """A use that only one side has."""
    DOUBLED = "doubled"
    """A use that one side has twice."""
    MISPRICED = "mispriced"
    """The same tokens at another cost."""
    LATE = "late"
    """The same use on another day."""
    UNKNOWN_MODEL = "unknown_model"
    """A cost of a model that has no price here."""
    UNSEEN_TOKENS = "unseen_tokens"
    """Tokens on the bill that the lines of the use do not have."""


class Side(StrEnum):
    """The side at which a difference is."""

    BILL = "bill"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, with the lines of both sides that it was found in.

    Attributes:
        side: of a lost use the side that lacks it, of a doubled one the side that has it twice.
        other_day: of a late use the day on which the ledger has it.
        token_type: None if the difference is about the whole use.
        bill_rows: import and number of each line of the bill.
        lines: usage key and number of each line of the ledger.
    """

    kind: DifferenceKind
    day: date
    model: str | None
    side: Side | None = None
    other_day: date | None = None
    token_type: str | None = None
    request_id: str | None = None
    billed_usd: Decimal | None = None
    ledger_usd: Decimal | None = None
    billed_tokens: int | None = None
    ledger_tokens: int | None = None
    bill_rows: Sequence[tuple[UUID, int]] = ()
    lines: Sequence[tuple[str, int]] = ()

    @property
    def amount_usd(self) -> Decimal:
        """What the bill has more than the ledger; below 0 what it has less."""
        return (self.billed_usd or Decimal(0)) - (self.ledger_usd or Decimal(0))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A bill beside the ledger, for a range of time.

    Attributes:
        start, end: the range, its end excluded; days in UTC.
        bill_lines, ledger_lines: how many lines of each side were compared.
    """

    provider: str
    start: datetime
    end: datetime
    bill_lines: int
    ledger_lines: int
    billed_usd: Decimal
    ledger_usd: Decimal
    differences: Sequence[Difference]

    @property
    def counts(self) -> Mapping[DifferenceKind, int]:
        """The number of differences of each kind."""
        return {kind: sum(each.kind is kind for each in self.differences) for kind in DifferenceKind}
