"""Adapter of FastMCP's servers (extra `fastmcp`)."""

from faregate.integrations.extras import framework

framework("fastmcp.server", "fastmcp")

from faregate.integrations.fastmcp.middleware import FaregateMiddleware  # noqa: E402  it needs what the line above demands
from faregate.integrations.fastmcp.tools import paid  # noqa: E402

__all__ = ["FaregateMiddleware", "paid"]
