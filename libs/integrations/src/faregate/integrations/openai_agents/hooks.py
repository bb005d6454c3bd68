"""Run hooks of the Agents SDK that report to a `use` block."""

from typing import Any

from agents import Agent, ModelResponse, RunContextWrapper, RunHooks, TResponseInputItem

from faregate.client.charge_session import ChargeSession
from faregate.integrations.openai_agents.replies import model_of_agent, observe_response
from faregate.wire.errors import InvalidError

__all__ = ["FaregateHooks"]


class FaregateHooks(RunHooks[Any]):
    """`async with credits.use("report", "ada") as use: await Runner.run(agent, "…", hooks=FaregateHooks(use))`.

    The block holds the credits of the whole run; the hooks report the usage of each call as it ends, with any model of the SDK,
    and with the model's own name. A run that fails is charged for the calls until then.

    Args:
        model: the name of models that the SDK does not name (the default model, models of other packages).
    """

    def __init__(self, use: ChargeSession, *, model: str | None = None) -> None:
        self._use = use
        self._model = model

    async def on_llm_start(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Refuse a call that nobody would pay for.

        Raises:
            InvalidError: the block has ended.
        """
        if not self._use.running:
            raise InvalidError(f"the use {self._use.usage_key} has ended; run the agent within its block", param="use")

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        """Record the usage of a call."""
        model = model_of_agent(agent) or self._model
        observer = self._use.watcher(model)
        observe_response(observer, response, model)
