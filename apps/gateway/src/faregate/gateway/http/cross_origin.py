"""CORS for web pages that call with their user's token."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

__all__ = ["cross_origin"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT = ("authorization", "content-type", "idempotency-key", "prefer", "x-request-id")
"""A page sends its user's token. The header of server keys is not allowed: anybody can read a key in a page."""

_READ = (
    *("x-request-id", "idempotency-replayed", "retry-after", "preference-applied", "content-disposition"),
    *("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
)
_PREFLIGHT_SECONDS = 600


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Return the middleware that lets pages of `origins` call; they may never send cookies."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_READ,
            allow_credentials=False,
            max_age=_PREFLIGHT_SECONDS,
        )
    ]
