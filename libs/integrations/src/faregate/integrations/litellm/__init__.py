"""Adapter of LiteLLM, SDK and proxy (extra `litellm`)."""

from faregate.integrations.litellm.logger import FaregateLogger
from faregate.integrations.litellm.requests import call_id_of, payer_of

__all__ = ["FaregateLogger", "call_id_of", "payer_of"]
