"""Adapter of LiteLLM, SDK and proxy (extra `litellm`)."""

from faregate.integrations.extras import framework

framework("litellm.integrations.custom_logger", "litellm")

from faregate.integrations.litellm.logger import FaregateLogger  # noqa: E402  it needs what the line above demands
from faregate.integrations.litellm.requests import call_id_of, payer_of  # noqa: E402

__all__ = ["FaregateLogger", "call_id_of", "payer_of"]
