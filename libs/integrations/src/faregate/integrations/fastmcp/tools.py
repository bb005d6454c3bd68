"""Decorator of FastMCP's tools that hold credits and settle them."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_access_token

from faregate.client.charge_request import Estimate
from faregate.integrations import mcp
from faregate.integrations.charging import Payer
from faregate.integrations.interfaces import ICharges

__all__ = ["paid", "user_of_session"]


def paid(
    feature: str,
    *,
    credits: ICharges,
    user: Payer | None = None,
    estimate: Estimate = None,
    organization: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]:
    """Charge the calls of a tool: `@server.tool` above `@paid("search", credits=credits)`; see `faregate.integrations.mcp.paid`."""
    return mcp.paid(
        feature,
        credits=credits,
        user=user or user_of_session,
        estimate=estimate,
        organization=organization,
        refusal=ToolError,
    )


def user_of_session(_call: object) -> str | None:
    """Return the subject of the session's access token."""
    return mcp.user_of_token(get_access_token())
