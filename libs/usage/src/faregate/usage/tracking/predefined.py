"""`TrackUsage` with defaults for MCP, credits and authentication routes."""

from functools import partial

from faregate.usage.tracking.middleware import TrackUsage

__all__ = ["track_auth", "track_credits", "track_mcp"]

track_mcp = partial(TrackUsage, service="mcp", paths=("/mcp", "/api/mcp"))
"""Meters what is under `/mcp` and `/api/mcp` as the service `mcp`; every argument of `TrackUsage` can be given otherwise."""

track_credits = partial(TrackUsage, service="credits", paths=("/credits", "/api/credits"))
"""Meters what is under `/credits` and `/api/credits` as the service `credits`."""

track_auth = partial(TrackUsage, service="auth", paths=("/auth", "/api/auth"))
"""Meters what is under `/auth` and `/api/auth` as the service `auth`; a user who is not signed in is `anonymous`."""
