"""Middleware of FastMCP that charges tool calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp_types import CallToolRequestParams

from faregate.client.charge_request import Estimate
from faregate.client.values import ModelUsage, Quote
from faregate.integrations.charging import CallCharging, Payer
from faregate.integrations.fastmcp.tools import user_of_session
from faregate.integrations.interfaces import ICharges
from faregate.integrations.receipts import RECEIPT
from faregate.wire.errors import FaregateError, InvalidError

__all__ = ["FaregateMiddleware"]


class FaregateMiddleware(Middleware):
    """`server.add_middleware(FaregateMiddleware(credits, {"search": "web_search"}))`: charges tools by name.

    A call of a charged tool holds credits before the tool runs. Without them its result is an error, with `code`, `balance` and
    `required` in the structured content. It is settled when the tool returns, and voided if the tool fails. The result's `_meta`
    holds the receipt under `faregate`. The tool is a `use` block: models that it calls by wrapped clients are part of the price.

    Args:
        tools: the feature of each tool that is charged, by tool name; `"*"` is the feature of all others.
        user: the user who pays, or a function of the request's parameters. By default the subject of the session's access token.
    """

    def __init__(
        self,
        credits: ICharges,
        tools: Mapping[str, str],
        *,
        user: Payer | None = None,
        estimate: Estimate = None,
        organization: str | None = None,
    ) -> None:
        self._charged = {
            name: CallCharging(credits, feature, user or user_of_session, estimate, organization)
            for name, feature in tools.items()
        }

    async def quote(self, tool: str, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call of a tool would hold and cost this user now; nothing is held or charged.

        Raises:
            InvalidError: the tool is not charged.
        """
        charging = self._charging_of(tool)
        if charging is None:
            raise InvalidError(f"the tool {tool!r} is not charged; name it, or '*', in `tools`", param="tool")
        return await charging.quote(user, usages)

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Hold the credits of a tool call, and settle it."""
        charging = self._charging_of(context.message.name)
        if charging is None:
            return await call_next(context)
        try:
            use = await charging.open(context.message, metadata={"tool": context.message.name})
        except FaregateError as error:
            return _refusal(error)
        result = await use.around(lambda: call_next(context))
        if result.is_error:
            use.session.void("the tool failed")
        receipt: dict[str, Any] = dict(await use.finish())
        result.meta = {**(result.meta or {}), RECEIPT: receipt}
        return result

    def _charging_of(self, tool: str) -> CallCharging | None:
        return self._charged.get(tool) or self._charged.get("*")


def _refusal(error: FaregateError) -> ToolResult:
    facts = {name: str(value) for name, value in error.facts.items()}
    return ToolResult(error.public_detail, {"code": error.code, **facts}, is_error=True)
