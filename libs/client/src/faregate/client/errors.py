"""Errors of the client."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.wire.exact_json import mapping

__all__ = [
    "AccessRefused",
    "CreditsError",
    "HoldClosed",
    "InsufficientCredits",
    "InvalidCall",
    "KeyConflict",
    "QuotaExceeded",
    "RateLimited",
    "Unauthenticated",
    "Unavailable",
    "UnknownFeature",
    "UnknownUsageKey",
    "UnreadableReply",
    "error_of",
]


class CreditsError(Exception):
    """A call that was refused or failed; base of all errors of the client.

    Attributes:
        code: the gateway's error code, such as `insufficient_credits`.
        status: the HTTP status; 0 without an answer.
        param: the field that is invalid, if one is.
        request_id: the id of the request, for the operator's logs.
        facts: all further fields of the gateway's error, with exact numbers.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "error",
        status: int = 0,
        param: str | None = None,
        request_id: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.param = param
        self.request_id = request_id
        self.facts = dict(facts or {})


class InsufficientCredits(CreditsError):
    """The wallet has fewer free credits than this use needs. Nothing was stored: the same call can succeed after a top-up."""

    @property
    def balance(self) -> Decimal:
        """The free credits."""
        return Decimal(self.facts.get("balance", 0))

    @property
    def required(self) -> Decimal:
        """The credits that the use needs."""
        return Decimal(self.facts.get("required", 0))


class AccessRefused(CreditsError):
    """The user, plan or credential is not allowed to do this, or the wallet is frozen or closed."""


class QuotaExceeded(CreditsError):
    """The use would exceed a hard quota, whatever the balance; `facts` hold `used`, `limit` and `resets_at`."""


class UnreadableReply(CreditsError):
    """A provider's reply holds usage that cannot be read; none of it was counted."""


class UnknownFeature(CreditsError):
    """There is no feature with this id or key."""


class UnknownUsageKey(CreditsError):
    """There is no use with this usage key."""


class KeyConflict(CreditsError):
    """The usage key was used before for a different request (409)."""


class HoldClosed(CreditsError):
    """The hold is already settled, voided or expired."""


class InvalidCall(CreditsError):
    """The call is invalid; `param` names the field. Repeating it cannot succeed."""


class Unauthenticated(CreditsError):
    """The server key is missing or unknown."""


class RateLimited(CreditsError):
    """Too many calls, and the delay that the gateway asks for is longer than the time limit of this call."""


class Unavailable(CreditsError):
    """There was no usable answer in time. Whether the call took effect is unknown; all calls are safe to repeat."""


_BY_CODE: Mapping[str, type[CreditsError]] = {
    "insufficient_credits": InsufficientCredits,
    "member_limit": InsufficientCredits,
    "quota_exceeded": QuotaExceeded,
    "unknown_feature": UnknownFeature,
    "unknown_usage_key": UnknownUsageKey,
    "already_settled": HoldClosed,
    "hold_closed": HoldClosed,
}
_BY_STATUS: Mapping[int, type[CreditsError]] = {
    400: InvalidCall,
    401: Unauthenticated,
    402: InsufficientCredits,
    403: AccessRefused,
    409: KeyConflict,
    413: InvalidCall,
    415: InvalidCall,
    422: InvalidCall,
    429: RateLimited,
}


def error_of(status: int, body: Any) -> CreditsError:
    """Return the error for an error response of the gateway, or of a proxy in front of it."""
    answer = mapping(body)
    facts = dict(mapping(answer.get("error")))
    code = str(facts.pop("code", "error"))
    detail = str(facts.pop("detail", None) or answer.get("message") or f"the gateway answered {status}")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (Unavailable if status >= 500 else CreditsError)
    param, request_id = facts.pop("param", None), facts.pop("request_id", None)
    return kind(detail, code=code, status=status, param=param, request_id=request_id, facts=facts)
