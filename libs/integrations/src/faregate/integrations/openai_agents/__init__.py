"""Adapter of the OpenAI Agents SDK (extra `openai-agents`)."""

from faregate.integrations.extras import framework

framework("agents", "openai-agents")

from faregate.integrations.openai_agents.hooks import FaregateHooks  # noqa: E402  it needs what the line above demands
from faregate.integrations.openai_agents.provider import FaregateModelProvider  # noqa: E402
from faregate.integrations.openai_agents.tracing import FaregateTracing  # noqa: E402

__all__ = ["FaregateHooks", "FaregateModelProvider", "FaregateTracing"]
