"""SQL conditions and sums over raw facts.

They are exact for every question. Answers from rollups must equal them, and use them for what rollups do not cover.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from faregate.analytics.question.filters import Filters, Question

__all__ = [
    "DIMENSIONS",
    "MEASURES",
    "UNPRICED",
    "Rest",
    "about_models",
    "conditions",
    "measures_sql",
    "parameters",
    "period_sql",
]

DIMENSIONS = {
    "service": "e.service",
    "model": "e.model",
    "provider": "e.provider",
    "feature": "e.feature_key",
    "organization": "e.organization_id",
    "country": "e.country",
    "device": "e.device",
    "meter": "e.meter",
    "status": "case when e.status >= 400 then 'error' when e.status is not null then 'success' end",
}
"""The expressions over `usage_event e` that facts can be grouped by."""

MEASURES = (
    *("facts", "requests", "errors", "input_tokens", "output_tokens", "credits", "charged", "cost", "latency_sum"),
    *("latency_count", "unpriced", "quantity"),
)

UNPRICED = "e.cost is null and (e.calls <> 0 or e.input_tokens + e.output_tokens <> 0)"
"""The condition of a call of a model whose cost is unknown."""

_CONDITIONS = {
    "service": "e.service = :service",
    "model": "e.model = any(cast(:model as text[]))",
    "provider": "e.provider = any(cast(:provider as text[]))",
    "feature": "e.feature_key = :feature",
    "user_id": "e.subject_id = (select subject_id from faregate.subject where external_id = :user_id)",
    "organization_id": "e.organization_id = (select subject_id from faregate.subject where external_id = :organization_id)",
    "country": "e.country = :country",
    "device": "e.device = :device",
    "meter": "e.meter = :meter",
}


@dataclass(frozen=True, slots=True)
class Rest:
    """The facts that the sums do not contain: before `start` or from `end` on (None if the sums reach that bound of the
    range), or written by a transaction that was not finished when the sums were made: one from `from_tx` on, or one of
    `open_txs`. Without a `tail` there are no such transactions.
    """

    start: datetime | None
    end: datetime | None
    tail: bool
    from_tx: int
    open_txs: tuple[int, ...]

    @property
    def empty(self) -> bool:
        """Whether the sums contain all facts."""
        return self.start is None and self.end is None and not self.tail

    @property
    def condition(self) -> str:
        """The condition that only the rest fulfils."""
        parts = ["e.time < :rest_start"] if self.start is not None else []
        parts += ["e.time >= :rest_end"] if self.end is not None else []
        parts += ["e.tx >= :from_tx", "e.tx = any(cast(:open_txs as bigint[]))"] if self.tail else []
        return f"({' or '.join(parts)})" if parts else "false"

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of `condition`."""
        times = {"rest_start": self.start, "rest_end": self.end}
        given = {name: time for name, time in times.items() if time is not None}
        return given | ({"from_tx": self.from_tx, "open_txs": list(self.open_txs)} if self.tail else {})


def about_models(filters: Filters, *group: str) -> bool:
    """Tell whether a question is about models: then calls of models are counted, not uses of features."""
    return bool({"model", "provider"} & {*filters.given, *group})


def conditions(filters: Filters, rest: Rest | None = None) -> str:
    """Return the `where` of a question over `usage_event e`."""
    parts = ["e.time >= :start", "e.time < :end", *([rest.condition] if rest is not None else [])]
    parts += [_CONDITIONS[name] for name in filters.given if name in _CONDITIONS]
    if filters.status is not None:
        words = {"success": "e.status < 400", "error": "e.status >= 400"}
        parts.append(words.get(filters.status, "e.status = cast(:status as smallint)"))
    return " and ".join(parts)


def period_sql(moment: str) -> str:
    """Return the position (from 1) of the period that contains `moment`, among the period starts `:periods`."""
    return f"width_bucket({moment}, cast(:periods as timestamptz[]))"


def measures_sql(*, models: bool) -> str:
    """Return the sums over `usage_event e`, in the order of `MEASURES`."""
    weight = "e.calls" if models else "e.requests"
    return f"""
    coalesce(sum(e.sign), 0)::bigint as facts,
    coalesce(sum({weight}), 0)::bigint as requests,
    coalesce(sum({weight}) filter (where e.status >= 400), 0)::bigint as errors,
    coalesce(sum(e.input_tokens), 0)::bigint as input_tokens, coalesce(sum(e.output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(e.credits), 0)::bigint as credits, coalesce(sum(e.charged), 0)::bigint as charged,
    coalesce(sum(e.cost), 0)::numeric as cost,
    coalesce(sum(e.latency_ms::bigint * {weight}), 0)::bigint as latency_sum,
    coalesce(sum({weight}) filter (where e.latency_ms is not null), 0)::bigint as latency_count,
    coalesce(sum(e.sign) filter (where {UNPRICED}), 0)::bigint as unpriced,
    coalesce(sum(e.quantity), 0) as quantity
    """


def parameters(question: Question, rest: Rest | None = None) -> dict[str, Any]:
    """Return the parameters of `conditions`."""
    filters = question.filters
    of_rest = rest.parameters if rest is not None else {}
    values: dict[str, Any] = {"start": question.range.start, "end": question.range.end, **filters.given, **of_rest}
    values |= filters.spelled
    values.pop("status", None)
    if filters.status is not None and filters.status.isdecimal():
        values["status"] = int(filters.status)
    if filters.organization_owner is not None:
        values["organization_id"] = filters.organization_owner
    if filters.country is not None:
        values["country"] = filters.country.upper()
    return values
