"""Adapter of pydantic-ai (extra `pydantic-ai`)."""

from faregate.integrations.extras import framework

framework("pydantic_ai", "pydantic-ai")

from faregate.integrations.pydantic_ai.capability import FaregateCapability  # noqa: E402  it needs what the line above demands

__all__ = ["FaregateCapability"]
