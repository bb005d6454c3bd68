"""ASGI middleware that records requests as usage events."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.usage.tracking.middleware import TrackUsage, signed_in
    from faregate.usage.tracking.predefined import track_auth, track_credits, track_mcp
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "middleware": ["TrackUsage", "signed_in"],
            "predefined": ["track_auth", "track_credits", "track_mcp"],
        },
    )

__all__ = ["TrackUsage", "signed_in", "track_auth", "track_credits", "track_mcp"]
