"""Metering the requests of a host: an ASGI middleware for Starlette, FastAPI and whatever else speaks ASGI."""

from faregate.usage.tracking.middleware import TrackUsage, signed_in
from faregate.usage.tracking.predefined import track_auth, track_credits, track_mcp

__all__ = ["TrackUsage", "signed_in", "track_auth", "track_credits", "track_mcp"]
