"""What can go wrong, as types to catch. Names are the caller's words: `except InsufficientCredits as no:`."""

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
    """Any refusal or failure.

    Attributes:
        code: the gateway's error code, e.g. `insufficient_credits`.
        status: the HTTP status; 0 when there was no answer.
        param: the field that is wrong, if one is.
        request_id: what to tell the operator.
        facts: everything else that the gateway said, numbers exact.
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
    """The wallet has less free than this use needs. Nothing was stored: after a top-up the same call passes."""

    @property
    def balance(self) -> Decimal:
        """What is free."""
        return Decimal(self.facts.get("balance", 0))

    @property
    def required(self) -> Decimal:
        """What would have been needed."""
        return Decimal(self.facts.get("required", 0))


class AccessRefused(CreditsError):
    """This user, plan or credential may not do this, or the wallet is frozen or closed."""


class QuotaExceeded(CreditsError):
    """A hard quota leaves no room for this use, whatever is in the wallet; `facts` say `used`, `limit` and `resets_at`."""


class UnreadableReply(CreditsError):
    """A provider's reply holds a usage that cannot be read; nothing of it was counted."""


class UnknownFeature(CreditsError):
    """No feature has this id or key."""


class UnknownUsageKey(CreditsError):
    """No use has this key."""


class KeyConflict(CreditsError):
    """The usage key was used with another meaning (409)."""


class HoldClosed(CreditsError):
    """The hold is settled, voided or expired already."""


class InvalidCall(CreditsError):
    """The call itself is wrong; `param` names the field. Repeating it will not help."""


class Unauthenticated(CreditsError):
    """The server key is missing or unknown."""


class RateLimited(CreditsError):
    """Too many calls, and waiting as told would take longer than this call may."""


class Unavailable(CreditsError):
    """No usable answer in time. Whether the call took effect is unknown; all calls are safe to repeat."""


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
    """Return the error that an answer of the gateway (or of a proxy before it) stands for."""
    said = mapping(body)
    facts = dict(mapping(said.get("error")))
    code = str(facts.pop("code", "error"))
    detail = str(facts.pop("detail", None) or said.get("message") or f"the gateway answered {status}")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (Unavailable if status >= 500 else CreditsError)
    param, request_id = facts.pop("param", None), facts.pop("request_id", None)
    return kind(detail, code=code, status=status, param=param, request_id=request_id, facts=facts)
