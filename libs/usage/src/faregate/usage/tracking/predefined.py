"""`TrackUsage` with defaults for MCP, credits and authentication routes."""

from functools import partial

from faregate.usage.tracking.middleware import TrackUsage

__all__ = ["track_auth", "track_credits", "track_mcp"]

track_mcp = partial(TrackUsage, service="mcp", paths=("/mcp", "/api/mcp"))
"""Meters `/mcp` and `/api/mcp` and below as the service `mcp`; every argument of `TrackUsage` can be overridden."""

track_credits = partial(TrackUsage, service="credits", paths=("/credits", "/api/credits"))
"""Meters `/credits` and `/api/credits` and below as the service `credits`."""

track_auth = partial(TrackUsage, service="auth", paths=("/auth", "/api/auth"))
"""Meters `/auth` and `/api/auth` and below as the service `auth`; a user who is not signed in is `anonymous`."""
