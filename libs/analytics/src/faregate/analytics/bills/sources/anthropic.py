"""Cost report and usage report of an organisation at Anthropic. Pure.

Read are the answers of `/v1/organizations/cost_report` and `/v1/organizations/usage_report/messages`. Amounts of the cost report
are in cents.
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
    within_a_day,
)
from faregate.analytics.bills.token_parts import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, INPUT, OUTPUT
from faregate.analytics.bills.values import BillLine
from faregate.wire import exact_json

__all__ = ["anthropic_lines"]

_PROVIDER = "anthropic"
_CENTS = Decimal(-2)
_TYPES = {
    "uncached_input_tokens": INPUT,
    "cache_read_input_tokens": CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": CACHE_WRITE,
    "cache_creation.ephemeral_1h_input_tokens": CACHE_WRITE_1H,
    "output_tokens": OUTPUT,
}
_COST_TYPES = {"web_search": "web_searches", "code_execution": "code_executions"}
_DETAILS = ("workspace_id", "api_key_id", "service_tier", "context_window", "inference_geo")


def anthropic_lines(content: bytes) -> Iterator[BillLine]:
    """Yield the lines of a report.

    Raises:
        UnreadableBillError: names the line and the field; costs need `group_by[]=description`, usage `group_by[]=model`.
    """
    number = 0
    for bucket in buckets(content):
        results = bucket.get("results")
        for result in cast("list[Any]", results) if isinstance(results, list) else []:
            number += 1
            period = within_a_day(
                moment(bucket, "starting_at", line=number), moment(bucket, "ending_at", line=number), line=number
            )
            fields = exact_json.mapping(result)
            yield _cost_line(fields, number, period) if "amount" in fields else _usage_line(fields, number, period)


def _cost_line(fields: Fields, number: int, period: tuple[datetime, datetime]) -> BillLine:
    cents = amount(fields, "amount", line=number)
    currency = (optional(fields, "currency", line=number) or "USD").upper()
    if cents is None or currency != "USD":
        raise UnreadableBillError("the amount is missing, or not in USD", line=number)
    said = optional(fields, "description", line=number)
    model = optional(fields, "model", line=number) or said
    if model is None:
        raise UnreadableBillError("description is missing; ask for the report with group_by[]=description", line=number)
    kind = optional(fields, "token_type", line=number)
    token_type = _TYPES.get(kind or "") or _COST_TYPES.get(optional(fields, "cost_type", line=number) or "")
    if kind is not None and token_type is None:
        raise UnreadableBillError(f"token_type {kind!r} is none of {', '.join(_TYPES)}", line=number)
    return BillLine(
        number,
        _PROVIDER,
        *period,
        model=model,
        token_type=token_type,
        cost_usd=cents.scaleb(_CENTS),
        detail=_detail(fields, number),
    )


def _usage_line(fields: Fields, number: int, period: tuple[datetime, datetime]) -> BillLine:
    model = optional(fields, "model", line=number)
    if model is None:
        raise UnreadableBillError("model is missing; ask for the report with group_by[]=model", line=number)
    written = exact_json.mapping(fields.get("cache_creation"))
    searched = exact_json.mapping(fields.get("server_tool_use"))
    tokens = {
        INPUT: count(fields, "uncached_input_tokens", line=number),
        CACHE_READ: count(fields, "cache_read_input_tokens", line=number),
        CACHE_WRITE: count(written, "ephemeral_5m_input_tokens", line=number),
        CACHE_WRITE_1H: count(written, "ephemeral_1h_input_tokens", line=number),
        OUTPUT: count(fields, "output_tokens", line=number),
        "web_searches": count(searched, "web_search_requests", line=number),
    }
    detail = joined(["usage", _detail(fields, number)])
    return BillLine(number, _PROVIDER, *period, model=model, tokens=tokens, detail=detail)


def _detail(fields: Fields, number: int) -> str:
    return joined([optional(fields, name, line=number) for name in _DETAILS])
