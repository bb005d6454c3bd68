"""Activity at OpenRouter, by day or by request. Pure.

Read are the answer of `/api/v1/activity` and the CSV of the activity page, which has one row for each generation.
"""

from collections.abc import Iterator

from faregate.analytics.bills.errors import UnreadableBillError
from faregate.analytics.bills.sources.reading import (
    Fields,
    amount,
    buckets,
    count,
    joined,
    moment,
    optional,
    table,
    text,
    whole_day,
)
from faregate.analytics.bills.token_parts import CACHE_READ, INPUT, OUTPUT
from faregate.analytics.bills.values import BillLine

__all__ = ["openrouter_lines"]

_PROVIDER = "openrouter"
_ALL_INPUT = "prompt_tokens"


def openrouter_lines(content: bytes) -> Iterator[BillLine]:
    """Yield the lines of an export.

    Raises:
        UnreadableBillError: names the line and the field.
    """
    if content.lstrip()[:1] in {b"{", b"["}:
        for number, item in enumerate(buckets(content), 1):
            yield _day_line(item, number)
        return
    for number, row in table(content):
        yield _generation(row, number)


def _day_line(fields: Fields, number: int) -> BillLine:
    cost = amount(fields, "usage", line=number)
    if cost is None:
        raise UnreadableBillError("usage is missing", line=number)
    return BillLine(
        number,
        _PROVIDER,
        *whole_day(moment(fields, "date", line=number)),
        model=text(fields, "model", line=number),
        tokens={
            _ALL_INPUT: count(fields, "prompt_tokens", line=number),
            OUTPUT: count(fields, "completion_tokens", line=number),
        },
        cost_usd=cost,
        requests=count(fields, "requests", line=number),
        detail=joined([optional(fields, name, line=number) for name in ("endpoint_id", "provider_name")]),
    )


def _generation(row: Fields, number: int) -> BillLine:
    at = moment(row, "created_at", line=number)
    cost = amount(row, "cost_total", line=number)
    if cost is None:
        raise UnreadableBillError("cost_total is missing", line=number)
    sent = count(row, "tokens_prompt", line=number)
    cached = count(row, "tokens_cached", line=number) if "tokens_cached" in row else None
    if (cached or 0) > sent:
        raise UnreadableBillError("tokens_cached is more than tokens_prompt", line=number)
    inputs = {_ALL_INPUT: sent} if cached is None else {INPUT: sent - cached, CACHE_READ: cached}
    return BillLine(
        number,
        _PROVIDER,
        at,
        at,
        model=text(row, "model_permaslug", line=number),
        tokens={**inputs, OUTPUT: count(row, "tokens_completion", line=number)},
        cost_usd=cost,
        requests=1,
        request_id=text(row, "generation_id", line=number),
    )
