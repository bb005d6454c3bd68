"""HTTP status of each error code, and the gateway's errors.

A test asserts that each error class has a row in `STATUS`.
"""

from collections.abc import Mapping

from faregate.core.errors import FaregateError
from faregate.wire.errors import AccessRefusedError, RateLimitedError, UnauthenticatedError, UnavailableError

__all__ = ["DOCS_URL", "STATUS", "RateLimitedError", "UnauthenticatedError", "status_of"]

DOCS_URL = "/docs/errors"

STATUS: Mapping[str, int] = {
    "malformed": 400,
    "invalid": 422,
    "unauthenticated": 401,
    "forbidden": 403,
    "scope_missing": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "unsupported_media_type": 415,
    "too_large": 413,
    "key_conflict": 409,
    "unavailable": 503,
    "configuration": 500,
    "internal": 500,
    "insufficient_credits": 402,
    "wallet_frozen": 403,
    "wallet_closed": 403,
    "unknown_wallet": 404,
    "unknown_usage_key": 404,
    "unknown_grant": 404,
    "unknown_close": 404,
    "not_closable": 409,
    "unknown_transaction": 404,
    "hold_mismatch": 409,
    "already_settled": 409,
    "hold_closed": 409,
    "not_refundable": 409,
    "member_limit": 402,
    "payment_declined": 402,
    "payments_off": 409,
    "no_payment_method": 409,
    "bad_signature": 400,
    "unknown_package": 404,
    "unknown_purchase": 404,
    "unknown_feature": 404,
    "feature_inactive": 403,
    "feature_not_allowed": 403,
    "unpriced": 409,
    "archive_damaged": 409,
    "unknown_log": 404,
    "log_sealed": 409,
    "unknown_dead_letter": 404,
    "unknown_key": 404,
    "too_many_keys": 409,
    "unknown_webhook": 404,
    "unsafe_url": 422,
    "rate_limited": 429,
    "request_timeout": 408,
    "unknown_event": 404,
    "already_corrected": 409,
    "quota_exceeded": 402,
    "unknown_plan": 404,
    "unknown_organization": 404,
    "not_a_member": 403,
    "unknown_price": 404,
    "unknown_view": 404,
    "unknown_ingest_rule": 404,
    "unknown_portal_link": 404,
    "unknown_tenant": 404,
    "tenant_suspended": 403,
    "tenant_exists": 409,
}


def status_of(error: FaregateError) -> int:
    """Return the HTTP status of an error."""
    return STATUS[error.code]


class ForbiddenError(AccessRefusedError):
    """The credential is known, but may not do this."""

    code = "forbidden"


class ScopeMissingError(AccessRefusedError):
    """The credential is known, but lacks the scope."""

    code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This credential lacks the scope {scope!r}; ask an administrator for one that has it", scope=scope
        )


class RequestTimeoutError(FaregateError):
    """The body came too slowly."""

    code = "request_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body did not arrive within {seconds:g} seconds; send it faster, or in parts")


class NotReadyError(UnavailableError):
    """An engine that this process needs does not answer; `data.checks` names it."""


class TooLargeError(FaregateError):
    """The body is larger than this call accepts."""

    code = "too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes; send it in parts", limit=limit_bytes)


class UnsupportedMediaTypeError(FaregateError):
    """The body has a media type that this call does not accept."""

    code = "unsupported_media_type"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"This call accepts {wanted}; set Content-Type accordingly")


class UnsupportedEncodingError(FaregateError):
    """The body has a content coding that this call does not accept."""

    code = "unsupported_media_type"

    def __init__(self) -> None:
        super().__init__(
            "Content-Encoding must be gzip or left out; send the body uncompressed, or compressed with gzip once",
            param="Content-Encoding",
        )


class RouteNotFoundError(FaregateError):
    """There is nothing at this path."""

    code = "not_found"


class MethodNotAllowedError(FaregateError):
    """The path exists, but not for this method."""

    code = "method_not_allowed"
