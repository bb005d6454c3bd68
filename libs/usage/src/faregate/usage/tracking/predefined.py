"""`TrackUsage` with defaults for MCP, credits and authentication routes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from faregate.core.clock import IClock
from faregate.usage.tracking.middleware import (
    ANSWER_LIMIT_BYTES,
    ASGIApp,
    ITakesEvents,
    Scope,
    TrackUsage,
    signed_in,
)

__all__ = ["track_auth", "track_credits", "track_mcp"]


def track_mcp(
    app: ASGIApp,
    /,
    *,
    recorder: ITakesEvents,
    user: Callable[[Scope], str | None] = signed_in,
    organization: Callable[[Scope], str | None] | None = None,
    service: str | Callable[[Scope], str | None] = "mcp",
    paths: Sequence[str] = ("/mcp", "/api/mcp"),
    anonymous: str | None = "anonymous",
    country_header: str | None = None,
    country_file: Path | None = None,
    answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    clock: IClock | None = None,
) -> TrackUsage:
    """Meter what is under `/mcp` and `/api/mcp` as the service `mcp`; arguments as of `TrackUsage`."""
    return TrackUsage(
        app,
        recorder=recorder,
        user=user,
        organization=organization,
        service=service,
        paths=paths,
        anonymous=anonymous,
        country_header=country_header,
        country_file=country_file,
        answer_limit_bytes=answer_limit_bytes,
        clock=clock,
    )


def track_credits(
    app: ASGIApp,
    /,
    *,
    recorder: ITakesEvents,
    user: Callable[[Scope], str | None] = signed_in,
    organization: Callable[[Scope], str | None] | None = None,
    service: str | Callable[[Scope], str | None] = "credits",
    paths: Sequence[str] = ("/credits", "/api/credits"),
    anonymous: str | None = "anonymous",
    country_header: str | None = None,
    country_file: Path | None = None,
    answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    clock: IClock | None = None,
) -> TrackUsage:
    """Meter what is under `/credits` and `/api/credits` as the service `credits`; arguments as of `TrackUsage`."""
    return TrackUsage(
        app,
        recorder=recorder,
        user=user,
        organization=organization,
        service=service,
        paths=paths,
        anonymous=anonymous,
        country_header=country_header,
        country_file=country_file,
        answer_limit_bytes=answer_limit_bytes,
        clock=clock,
    )


def track_auth(
    app: ASGIApp,
    /,
    *,
    recorder: ITakesEvents,
    user: Callable[[Scope], str | None] = signed_in,
    organization: Callable[[Scope], str | None] | None = None,
    service: str | Callable[[Scope], str | None] = "auth",
    paths: Sequence[str] = ("/auth", "/api/auth"),
    anonymous: str | None = "anonymous",
    country_header: str | None = None,
    country_file: Path | None = None,
    answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    clock: IClock | None = None,
) -> TrackUsage:
    """Meter what is under `/auth` and `/api/auth` as the service `auth`; without a signed-in user as `anonymous`."""
    return TrackUsage(
        app,
        recorder=recorder,
        user=user,
        organization=organization,
        service=service,
        paths=paths,
        anonymous=anonymous,
        country_header=country_header,
        country_file=country_file,
        answer_limit_bytes=answer_limit_bytes,
        clock=clock,
    )
