"""Capability of pydantic-ai that holds credits and settles them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import (
    ValidatedToolArgs,
    WrapModelRequestHandler,
    WrapRunHandler,
    WrapToolExecuteHandler,
)
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import ToolDefinition

from faregate.client.charge_request import Estimate
from faregate.client.charge_session import ChargeSession
from faregate.client.replies.observer import Observer
from faregate.client.values import ModelUsage, Quote
from faregate.integrations.charging import CallCharging, Payer, ambient_session
from faregate.integrations.interfaces import ICharges
from faregate.integrations.open_use import OpenUse
from faregate.integrations.pydantic_ai.replies import observe_response, tokens_of_request
from faregate.integrations.receipts import RECEIPT
from faregate.wire.exact_json import mapping

__all__ = ["FaregateCapability"]


class FaregateCapability(AbstractCapability[Any]):
    """`Agent("openai:gpt-4o", capabilities=[FaregateCapability(credits, "chat", user="ada")])`.

    Each request to a model, streams too, holds credits before it is sent, and is refused without them: the error of the credits
    ends the run. It is settled with the usage of the response, and voided if it fails before anything came. The receipt is in
    the `metadata` of the `ModelResponse`.

    Within a `use` block of the host the block charges, and observes all requests of the run.

    Args:
        user: the user who pays, or a function of the `RunContext`; by default `user_id` of the run's metadata
            (`agent.run(…, metadata={"user_id": "ada"})`), else the attribute `user_id` of its `deps`.
        per: "request" makes each request a use; "run" makes one use of a run with all its requests.
        tools: the features of tools whose executions are charged, by tool name; their price is that of the feature.
    """

    def __init__(
        self,
        credits: ICharges,
        feature: str,
        *,
        user: Payer | None = None,
        per: Literal["request", "run"] = "request",
        estimate: Estimate = None,
        organization: str | None = None,
        tools: Mapping[str, str] | None = None,
    ) -> None:
        payer = user or _user_of
        self._charging = CallCharging(credits, feature, payer, estimate, organization)
        self._per = per
        self._tools = {
            name: CallCharging(credits, feature_of_tool, payer, None, organization)
            for name, feature_of_tool in (tools or {}).items()
        }

    async def quote(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a request would hold and cost this user now; nothing is held or charged."""
        return await self._charging.quote(user, usages)

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Hold the credits of a run, if a run is one use."""
        if self._per != "run" or ambient_session() is not None:
            return await handler()
        use = await self._charging.open(ctx)
        result = await use.around(handler)
        receipt = await use.finish()
        _mark(result, receipt)
        return result

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        """Hold the credits of a request, and settle it."""
        ambient = ambient_session()
        use = await self._charging.open(ctx) if ambient is None else None
        observer = _watcher(ambient, use, request_context)
        try:
            response = await handler(request_context)
        except BaseException as failure:
            await _broken(use, observer, failure)
            raise
        observe_response(observer, response)
        if use is None:
            return response
        receipt = await use.finish()
        return replace(response, metadata={**(response.metadata or {}), RECEIPT: receipt})

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Hold the credits of a tool that is charged, and settle it if the tool returns."""
        charging = self._tools.get(tool_def.name)
        if charging is None:
            return await handler(args)
        use = await charging.open(ctx, metadata={"tool": tool_def.name})
        made = await use.around(lambda: handler(args))
        await use.finish()
        return made


def _watcher(ambient: ChargeSession | None, use: OpenUse | None, request: ModelRequestContext) -> Observer:
    session = ambient or (use.session if use is not None else None)
    assert session is not None  # noqa: S101  of the block or of the request
    return session.watcher(request.model.model_name, tokens_of_request(request.messages))


async def _broken(use: OpenUse | None, observer: Observer, failure: BaseException) -> None:
    """Void a request that failed; charge one that was cancelled by its request, since the provider may have answered."""
    if isinstance(failure, Exception):
        observer.fail()
    else:
        observer.break_off()
    if use is not None:
        await use.finish(failure)


def _mark(result: AgentRunResult[Any], receipt: Mapping[str, str | None]) -> None:
    """Put the receipt of a run into its last response."""
    response = result.response
    response.metadata = {**(response.metadata or {}), RECEIPT: dict(receipt)}


def _user_of(ctx: RunContext[Any]) -> str | None:
    found = mapping(ctx.metadata).get("user_id") or getattr(ctx.deps, "user_id", None)
    return found if isinstance(found, str) else None
