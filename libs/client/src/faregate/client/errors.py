"""Errors of the client: those of the library, and their earlier names."""

from collections.abc import Mapping
from typing import Any

from faregate.wire.errors import (
    AccessRefusedError,
    FaregateError,
    HoldClosedError,
    InsufficientCreditsError,
    InvalidError,
    KeyConflictError,
    QuotaExceededError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
    UnknownFeatureError,
    UnknownUsageKeyError,
)
from faregate.wire.exact_json import mapping

__all__ = [
    "AccessRefused",
    "AccessRefusedError",
    "CreditsError",
    "FaregateError",
    "HoldClosed",
    "HoldClosedError",
    "InsufficientCredits",
    "InsufficientCreditsError",
    "InvalidCall",
    "InvalidError",
    "KeyConflict",
    "KeyConflictError",
    "QuotaExceeded",
    "QuotaExceededError",
    "RateLimited",
    "RateLimitedError",
    "Unauthenticated",
    "UnauthenticatedError",
    "Unavailable",
    "UnavailableError",
    "UnknownFeature",
    "UnknownFeatureError",
    "UnknownUsageKey",
    "UnknownUsageKeyError",
    "UnreadableReply",
    "UnreadableReplyError",
    "error_of",
]


class UnreadableReplyError(FaregateError):
    """A provider's reply holds usage that cannot be read; none of it was counted."""

    code = "unreadable_reply"


CreditsError = FaregateError
AccessRefused = AccessRefusedError
HoldClosed = HoldClosedError
InsufficientCredits = InsufficientCreditsError
InvalidCall = InvalidError
KeyConflict = KeyConflictError
QuotaExceeded = QuotaExceededError
RateLimited = RateLimitedError
Unauthenticated = UnauthenticatedError
Unavailable = UnavailableError
UnknownFeature = UnknownFeatureError
UnknownUsageKey = UnknownUsageKeyError
UnreadableReply = UnreadableReplyError
"""Earlier names, kept for hosts that catch them."""

_BY_CODE: Mapping[str, type[FaregateError]] = {
    "insufficient_credits": InsufficientCreditsError,
    "member_limit": InsufficientCreditsError,
    "quota_exceeded": QuotaExceededError,
    "unknown_feature": UnknownFeatureError,
    "unknown_usage_key": UnknownUsageKeyError,
    "already_settled": HoldClosedError,
    "hold_closed": HoldClosedError,
}
_BY_STATUS: Mapping[int, type[FaregateError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    402: InsufficientCreditsError,
    403: AccessRefusedError,
    409: KeyConflictError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    429: RateLimitedError,
}


def error_of(status: int, body: Any) -> FaregateError:
    """Return the error for an error response of the gateway, or of a proxy in front of it."""
    answer = mapping(body)
    facts = dict(mapping(answer.get("error")))
    code = str(facts.pop("code", "error"))
    detail = str(facts.pop("detail", None) or answer.get("message") or f"the gateway answered {status}")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (UnavailableError if status >= 500 else FaregateError)
    error = kind(detail, param=facts.pop("param", None))
    error.code, error.status, error.request_id = code, status, facts.pop("request_id", None)
    error.facts = facts
    return error
