"""Errors of the Cycles protocol, and the translation of ours."""

from collections.abc import Mapping
from typing import Any

from faregate.core.errors import FaregateError

__all__ = ["CyclesError", "translated"]


class CyclesError(Exception):
    """A refusal in the protocol's words: status, code, message and details."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after_seconds: int | None = None


_CODES: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "INVALID_REQUEST"),
    "invalid": (400, "INVALID_REQUEST"),
    "too_large": (400, "INVALID_REQUEST"),
    "unsupported_media_type": (400, "INVALID_REQUEST"),
    "request_timeout": (400, "INVALID_REQUEST"),
    "unpriced": (400, "INVALID_REQUEST"),
    "unauthenticated": (401, "UNAUTHORIZED"),
    "forbidden": (403, "FORBIDDEN"),
    "scope_missing": (403, "FORBIDDEN"),
    "feature_inactive": (403, "FORBIDDEN"),
    "feature_not_allowed": (403, "FORBIDDEN"),
    "not_a_member": (403, "FORBIDDEN"),
    "unknown_feature": (404, "NOT_FOUND"),
    "unknown_wallet": (404, "NOT_FOUND"),
    "unknown_organization": (404, "NOT_FOUND"),
    "unknown_usage_key": (404, "NOT_FOUND"),
    "insufficient_credits": (409, "BUDGET_EXCEEDED"),
    "member_limit": (409, "BUDGET_EXCEEDED"),
    "quota_exceeded": (409, "BUDGET_EXCEEDED"),
    "wallet_frozen": (409, "BUDGET_FROZEN"),
    "wallet_closed": (409, "BUDGET_CLOSED"),
    "already_settled": (409, "RESERVATION_FINALIZED"),
    "hold_closed": (409, "RESERVATION_FINALIZED"),
    "key_conflict": (409, "IDEMPOTENCY_MISMATCH"),
    "hold_mismatch": (409, "IDEMPOTENCY_MISMATCH"),
    "rate_limited": (429, "LIMIT_EXCEEDED"),
}


def translated(error: FaregateError) -> CyclesError:
    """Return our error in the protocol's words; a fault of an engine is a 500, after which clients repeat the call."""
    status, code = _CODES.get(error.code, (500, "INTERNAL_ERROR"))
    if error.code == "hold_closed" and error.facts.get("status") == "expired":
        status, code = 410, "RESERVATION_EXPIRED"
    refusal = CyclesError(status, code, error.public_detail, {"code": error.code})
    if status == 429:
        refusal.retry_after_seconds = int(error.facts.get("retry_after_seconds", 1))
    return refusal
