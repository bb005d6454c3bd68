"""The bodies of the credits process. Pure; `feature` may be the feature's id or its key."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict

from faregate.client.ids import new_usage_key
from faregate.client.ride import Estimate, RideRequest
from faregate.client.values import ModelUsage

__all__ = [
    "END_PATH",
    "EXTEND_PATH",
    "LOG_PATH",
    "START_PATH",
    "USAGE_PATH",
    "VOID_PATH",
    "RecordOptions",
    "SettleOptions",
    "StartOptions",
    "record_body",
    "settlement_body",
    "start_body",
]

START_PATH = "/api/credits-process/start"
END_PATH = "/api/credits-process/end-multimodel"
VOID_PATH = "/api/credits-process/void"
EXTEND_PATH = "/api/credits-process/extend"
USAGE_PATH = "/api/usage"
LOG_PATH = "/api/feature-usage-logs"


class StartOptions(TypedDict, total=False):
    """What a start may say beside feature and user.

    `estimate` is credits or what the models will do; the hold is that, or the feature's minimum if it is more.
    """

    usage_key: str
    estimate: Estimate
    organization_id: str | None
    user_email: str | None
    ttl_seconds: int | None
    metadata: Mapping[str, Any]


class SettleOptions(TypedDict, total=False):
    """What a settlement may say beside feature, user and key; without `usages`, a fixed price is charged."""

    usages: Sequence[ModelUsage]
    organization_id: str | None
    duration_ms: int | None
    metadata: Mapping[str, Any] | None


class RecordOptions(TypedDict, total=False):
    """What a use in one call may say beside feature and user."""

    usage_key: str
    usages: Sequence[ModelUsage]
    organization_id: str | None
    metadata: Mapping[str, Any] | None


def start_body(request: RideRequest) -> dict[str, Any]:
    """Return the body of a start."""
    return _given(
        user_id=request.user_id,
        feature_endpoint_id=request.feature,
        usage_key=request.usage_key,
        estimated_credits=request.estimated_credits,
        estimated_usages=[line.wire() for line in request.estimated_usages] or None,
        organization_id=request.organization_id,
        user_email=request.user_email,
        ttl_seconds=request.ttl_seconds,
        metadata=dict(request.metadata) or None,
    )


def settlement_body(feature: str, user_id: str, usage_key: str, options: SettleOptions) -> dict[str, Any]:
    """Return the body of a settlement, for HTTP and for the queue."""
    return _given(
        user_id=user_id,
        usage_key=usage_key,
        feature_endpoint_id=feature,
        usages=[line.wire() for line in options.get("usages", ())],
        organization_id=options.get("organization_id"),
        duration=options.get("duration_ms"),
        metadata=dict(options.get("metadata") or {}) or None,
    )


def record_body(feature: str, user_id: str, options: RecordOptions) -> dict[str, Any]:
    """Return the body of a use in one call; without a key it gets one, so that its repetitions are one use."""
    return _given(
        user_id=user_id,
        usage_key=options.get("usage_key") or new_usage_key(),
        feature_key=feature,
        usages=[line.wire() for line in options.get("usages", ())] or None,
        organization_id=options.get("organization_id"),
        metadata=dict(options.get("metadata") or {}) or None,
    )


def _given(**fields: Decimal | str | int | list[Any] | dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
