"""Decorator of MCP tools that hold credits and settle them."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver.exceptions import ToolError

from faregate.client.charge_request import Estimate
from faregate.integrations.charging import CallCharging, Payer
from faregate.integrations.interfaces import ICharges
from faregate.wire.errors import FaregateError
from faregate.wire.exact_json import mapping

__all__ = ["Tool", "paid", "user_of_token"]

Tool = Callable[..., Any]
"""A function that is a tool, sync or async."""


def paid(
    feature: str,
    *,
    credits: ICharges,
    user: Payer | None = None,
    estimate: Estimate = None,
    organization: str | None = None,
    refusal: type[Exception] = ToolError,
) -> Callable[[Tool], Callable[..., Awaitable[Any]]]:
    """Charge the calls of a tool: `@server.tool()` above `@paid("search", credits=credits)`.

    A call holds credits before the tool runs; without them the caller gets an error result with the reason. It is settled when
    the tool returns, and voided if it raises. The tool is a `use` block: models that it calls by wrapped clients or by adapters
    are part of the price, and `current_charge_session` is its session.

    Args:
        user: the user who pays, or a function of the call's arguments. By default the subject of the session's access token.
        refusal: the error that the server answers as an error result.
    """
    charging = CallCharging(credits, feature, user or _user_of_session, estimate, organization)

    def decorate(tool: Tool) -> Callable[..., Awaitable[Any]]:
        @wraps(tool)
        async def charged(*arguments: Any, **named: Any) -> Any:
            try:
                use = await charging.open(named, metadata={"tool": tool.__name__})
            except FaregateError as error:
                raise refusal(error.public_detail) from error
            made = await use.around(lambda: _called(tool, *arguments, **named))
            await use.finish()
            return made

        return charged

    return decorate


def user_of_token(token: Any) -> str | None:
    """Return the subject of an access token; None without a token, and for one that names no user."""
    subject = getattr(token, "subject", None) or mapping(getattr(token, "claims", None)).get("sub")
    return subject if isinstance(subject, str) and subject else None


def _user_of_session(_arguments: Mapping[str, Any]) -> str | None:
    return user_of_token(get_access_token())


async def _called(tool: Tool, *arguments: Any, **named: Any) -> Any:
    if inspect.iscoroutinefunction(tool):
        return await tool(*arguments, **named)
    return await asyncio.to_thread(tool, *arguments, **named)
