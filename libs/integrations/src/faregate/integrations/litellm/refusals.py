"""Refusals of calls, which LiteLLM must not repeat."""

from typing import Any

from faregate.integrations.extras import framework
from faregate.integrations.litellm.requests import status_of
from faregate.wire.errors import FaregateError
from faregate.wire.exact_json import mapping

__all__ = ["never_retry", "refusal_of", "with_retries_inside"]


def refusal_of(error: FaregateError) -> Exception:
    """Return the error that the proxy answers a refused request with."""
    facts = {name: str(value) for name, value in error.facts.items()}
    detail = {"error": error.public_detail, "code": error.code, **facts}
    made: Exception = framework("fastapi", "litellm").HTTPException(status_of(error), detail)
    return made


def never_retry(error: FaregateError) -> None:
    """Mark a refusal with the mark of errors that LiteLLM does not retry: its own retries pass no hook and would be free."""
    failures = framework("litellm.litellm_core_utils.agentic_followup_failure", "litellm")
    failures.mark_agentic_followup_failure(error, ())


def with_retries_inside(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Let the provider's client retry, within this hold: LiteLLM's own retries pass no hook and would be free.

    A router repeats calls itself, and each repetition passes the hooks.
    """
    if any("model_group" in mapping(kwargs.get(name)) for name in ("metadata", "litellm_metadata")):
        return None
    retries = kwargs.get("num_retries")
    if retries is None:
        retries = framework("litellm", "litellm").num_retries
    if not retries and not kwargs.get("retry_policy"):
        return None
    return {**kwargs, "num_retries": 0, "retry_policy": None, "max_retries": kwargs.get("max_retries", retries)}
