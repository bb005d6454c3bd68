"""Request bodies of the credits process. Pure.

`feature` is the id or the key of a feature.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from faregate.client.charge_request import ChargeRequest
from faregate.client.values import ModelUsage
from faregate.wire.ids import new_uuid7

__all__ = [
    "END_PATH",
    "EVENTS_PATH",
    "EXTEND_PATH",
    "FEEDBACK_PATH",
    "LOG_PATH",
    "QUOTE_PATH",
    "START_PATH",
    "USAGE_PATH",
    "VOID_PATH",
    "line_body",
    "quote_body",
    "record_body",
    "settlement_body",
    "start_body",
    "wallet_path",
]

START_PATH = "/api/credits-process/start"
END_PATH = "/api/credits-process/end-multimodel"
VOID_PATH = "/api/credits-process/void"
EXTEND_PATH = "/api/credits-process/extend"
QUOTE_PATH = "/api/credits-process/quote"
USAGE_PATH = "/api/usage"
EVENTS_PATH = "/api/usage-events"
LOG_PATH = "/api/feature-usage-logs"
FEEDBACK_PATH = "/api/feedback"


def wallet_path(owner_id: str) -> str:
    """Return the path of a wallet; characters such as `/` and `|` of its owner's id are percent-encoded."""
    return f"/api/wallets/{quote(owner_id, safe='')}"


def line_body(usage: ModelUsage) -> dict[str, Any]:
    """Return the body of one line of usage.

    Both totals are always sent: a line without counts is sent with zeros.
    """
    named = {
        "provider": usage.provider,
        "service_tier": usage.service_tier,
        "total_tokens": usage.total_tokens,
        "reported_cost_usd": usage.reported_cost_usd,
    }
    return {
        "ai_model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        **{name: value for name, value in named.items() if value is not None},
        **{name: count for name, count in usage.more.items() if count},
    }


def start_body(request: ChargeRequest) -> dict[str, Any]:
    """Return the body of a start."""
    return _without_none(
        user_id=request.user_id,
        feature_endpoint_id=request.feature,
        usage_key=request.usage_key,
        estimated_credits=request.estimated_credits,
        estimated_usages=[line_body(line) for line in request.estimated_usages] or None,
        organization_id=request.organization_id,
        user_email=request.user_email,
        ttl_seconds=request.ttl_seconds,
        metadata=dict(request.metadata) or None,
    )


def quote_body(request: ChargeRequest, usages: Sequence[ModelUsage]) -> dict[str, Any]:
    """Return the body of a quote: the estimate of a start, and the usage to be priced."""
    return _without_none(
        user_id=request.user_id,
        feature_endpoint_id=request.feature,
        usages=[line_body(line) for line in usages] or None,
        estimated_credits=request.estimated_credits,
        estimated_usages=[line_body(line) for line in request.estimated_usages] or None,
        organization_id=request.organization_id,
        metadata=dict(request.metadata) or None,
    )


def settlement_body(
    feature: str,
    user_id: str,
    usage_key: str,
    *,
    usages: Sequence[ModelUsage] = (),
    organization_id: str | None = None,
    duration_ms: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of a settlement, for HTTP and for the queue."""
    return _without_none(
        user_id=user_id,
        usage_key=usage_key,
        feature_endpoint_id=feature,
        usages=[line_body(line) for line in usages],
        organization_id=organization_id,
        duration=duration_ms,
        metadata=dict(metadata or {}) or None,
    )


def record_body(
    feature: str,
    user_id: str,
    *,
    usage_key: str | None = None,
    usages: Sequence[ModelUsage] = (),
    organization_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of a use that is recorded in one call.

    Without a usage key it gets a new one, so that its repetitions count as one use.
    """
    return _without_none(
        user_id=user_id,
        usage_key=str(new_uuid7()) if usage_key is None else usage_key,
        feature_key=feature,
        usages=[line_body(line) for line in usages] or None,
        organization_id=organization_id,
        metadata=dict(metadata or {}) or None,
    )


def _without_none(**fields: Decimal | str | int | list[Any] | dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
