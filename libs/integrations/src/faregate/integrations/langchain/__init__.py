"""Adapter of LangChain and LangGraph (extra `langchain`)."""

from faregate.integrations.extras import framework

framework("langchain_core.callbacks", "langchain")

from faregate.integrations.langchain.handler import FaregateHandler  # noqa: E402  it needs what the line above demands

__all__ = ["FaregateHandler"]
