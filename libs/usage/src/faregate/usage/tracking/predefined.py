"""The middleware as it is most often needed; every argument can be given otherwise."""

from typing import Any

from faregate.usage.tracking.middleware import ASGIApp, TrackUsage

__all__ = ["track_auth", "track_credits", "track_mcp"]


def track_mcp(app: ASGIApp, /, **options: Any) -> TrackUsage:
    """Meter what is under `/mcp` and `/api/mcp` as the service `mcp`."""
    return _tracked(app, "mcp", options)


def track_credits(app: ASGIApp, /, **options: Any) -> TrackUsage:
    """Meter what is under `/credits` and `/api/credits` as the service `credits`."""
    return _tracked(app, "credits", options)


def track_auth(app: ASGIApp, /, **options: Any) -> TrackUsage:
    """Meter what is under `/auth` and `/api/auth` as the service `auth`; who is not signed in yet is `anonymous`."""
    return _tracked(app, "auth", options)


def _tracked(app: ASGIApp, service: str, options: dict[str, Any]) -> TrackUsage:
    usual: dict[str, Any] = {"service": service, "paths": (f"/{service}", f"/api/{service}")}
    return TrackUsage(app, **(usual | options))
