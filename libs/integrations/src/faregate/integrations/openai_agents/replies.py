"""Usage in the responses of the Agents SDK."""

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any

from agents import Agent, Model, ModelResponse

from faregate.client.replies.observer import Observer

__all__ = ["charged_here", "model_of_agent", "observe_response", "reset_charged"]

charged_here: ContextVar[bool] = ContextVar("faregate_charged_here", default=False)
"""Whether the running call of a model is charged already, so that tracing does not charge it again."""


def observe_response(observer: Observer, response: ModelResponse, model: str | None) -> None:
    """Record a response. The SDK counts zero tokens where a provider reports no usage: then the output is estimated."""
    if response.usage.total_tokens:
        observer.observe(response, model=model)
        return
    output = [item.model_dump() for item in response.output]
    observer.observe_chunk({"object": "response", "model": model, "output": output}, model=model)


def model_of_agent(agent: Agent[Any]) -> str | None:
    """Return the name of an agent's model; None if the SDK's default is used."""
    model = agent.model
    if isinstance(model, Model):
        named = getattr(model, "model", None)
        return named if isinstance(named, str) else None
    return model


def reset_charged(token: Token[bool]) -> None:
    """Undo the mark of a call; a stream may end in another context than it began in, which has no mark."""
    with suppress(ValueError):
        charged_here.reset(token)
