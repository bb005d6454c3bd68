"""Adapter of the MCP SDK's servers (extra `mcp`)."""

from faregate.integrations.extras import framework

framework("mcp.server", "mcp")

from faregate.integrations.mcp.paid import paid, user_of_token  # noqa: E402  it needs what the line above demands

__all__ = ["paid", "user_of_token"]
