"""Costs and usage of an organisation at OpenAI. Pure.

Read are the answers of `/v1/organization/costs` and `/v1/organization/usage/completions`, and the CSV of the costs.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

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
    within_a_day,
)
from faregate.analytics.bills.token_parts import CACHE_READ, INPUT, OUTPUT
from faregate.analytics.bills.values import BillLine
from faregate.wire import exact_json

__all__ = ["openai_lines"]

_PROVIDER = "openai"
_TIERS = frozenset({"batch", "flex", "priority", "audio", "text", "image"})
_DETAILS = ("project_id", "user_id", "api_key_id", "batch", "service_tier")


def openai_lines(content: bytes) -> Iterator[BillLine]:
    """Yield the lines of an export.

    Raises:
        UnreadableBillError: names the line and the field; lines without a name of their model need `group_by=line_item` (costs)
            or `group_by=model` (usage).
    """
    if content.lstrip()[:1] in {b"{", b"["}:
        yield from _answers(content)
        return
    for number, row in table(content):
        start, end = (moment(row, name, line=number) for name in ("start_time", "end_time"))
        currency = (optional(row, "amount_currency", line=number) or "usd").lower()
        cost = amount(row, "amount_value", line=number)
        yield _cost_line(row, number, within_a_day(start, end, line=number), cost, currency)


def _answers(content: bytes) -> Iterator[BillLine]:
    number = 0
    for bucket in buckets(content):
        results = bucket.get("results", bucket.get("result"))
        for result in cast("list[Any]", results) if isinstance(results, list) else []:
            number += 1
            period = within_a_day(
                moment(bucket, "start_time", line=number), moment(bucket, "end_time", line=number), line=number
            )
            fields = exact_json.mapping(result)
            yield _usage_line(fields, number, period) if "input_tokens" in fields else _costs(fields, number, period)


def _costs(fields: Fields, number: int, period: tuple[datetime, datetime]) -> BillLine:
    paid = exact_json.mapping(fields.get("amount"))
    currency = (optional(paid, "currency", line=number) or "usd").lower()
    return _cost_line(fields, number, period, amount(paid, "value", line=number), currency)


def _cost_line(
    fields: Fields, number: int, period: tuple[datetime, datetime], cost: Decimal | None, currency: str
) -> BillLine:
    if cost is None:
        raise UnreadableBillError("the amount is missing", line=number)
    if currency != "usd":
        raise UnreadableBillError(f"the amount is in {currency}; bills are compared in usd", line=number)
    item = optional(fields, "line_item", line=number)
    if item is None:
        raise UnreadableBillError("line_item is missing; export the costs with group_by=line_item", line=number)
    model, token_type, tier = _told_by(item)
    return BillLine(
        number,
        _PROVIDER,
        *period,
        model=model,
        token_type=token_type,
        cost_usd=cost,
        detail=joined([optional(fields, "project_id", line=number), tier]),
    )


def _told_by(item: str) -> tuple[str, str | None, str]:
    """Return model, type of tokens and tier of a line item such as `gpt-4o-2024-08-06, cached input`."""
    name, _, kind = item.rpartition(", ")
    words = set(kind.lower().split())
    tier = " ".join(sorted(words & _TIERS))
    for token_type, needed in ((CACHE_READ, {"cached", "input"}), (INPUT, {"input"}), (OUTPUT, {"output"})):
        if name and words - _TIERS == needed:
            return name, token_type, tier
    return item, None, ""


def _usage_line(fields: Fields, number: int, period: tuple[datetime, datetime]) -> BillLine:
    model = optional(fields, "model", line=number)
    if model is None:
        raise UnreadableBillError("model is missing; export the usage with group_by=model", line=number)
    cached = count(fields, "input_cached_tokens", line=number)
    sent = sum(count(fields, name, line=number) for name in ("input_tokens", "input_audio_tokens"))
    made = sum(count(fields, name, line=number) for name in ("output_tokens", "output_audio_tokens"))
    if cached > sent:
        raise UnreadableBillError("input_cached_tokens is more than input_tokens", line=number)
    tokens = {INPUT: sent - cached, CACHE_READ: cached, OUTPUT: made}
    details = [str(fields[name]) if fields.get(name) is not None else None for name in _DETAILS]
    return BillLine(
        number,
        _PROVIDER,
        *period,
        model=model,
        tokens=tokens,
        requests=count(fields, "num_model_requests", line=number),
        detail=joined(["usage", *details]),
    )
