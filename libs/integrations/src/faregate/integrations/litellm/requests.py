"""Id, payer and kind of the requests that LiteLLM reports. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from faregate.wire.errors import (
    AccessRefusedError,
    FaregateError,
    HoldClosedError,
    InsufficientCreditsError,
    InvalidError,
    KeyConflictError,
    QuotaExceededError,
    RateLimitedError,
    UnavailableError,
)
from faregate.wire.exact_json import mapping

__all__ = ["TOOL", "Kind", "call_id_of", "kind_of", "payer_of", "status_of"]

Kind = Literal["metered", "free", "tool", "unmetered"]
"""`metered`: the response reports usage. `unmetered`: the call may cost money, but its response reports no usage."""

TOOL = "call_mcp_tool"

_MASTER = "default_user_id"
"""The user of the proxy's master key, which is nobody in particular."""
_METERED = re.compile(
    r"_?a?(completion|text_completion|embeddings?|image_generation|image_edit|transcription|audio_transcription|speech"
    r"|audio_speech|rerank|responses|compact_responses|anthropic_messages|generate_content|generate_content_stream)"
)
_FREE = re.compile(
    r"a?_?(get|list|retrieve|delete|cancel|file|create_file|create_assistants|create_thread|add_message|token_count|moderation"
    r"|vector_store_(list|retrieve|delete|create|update|file)|video_(list|retrieve|content|delete|get)|upload_container"
    r"|create_container|delete_sandbox)\w*"
)
_STATUS: Mapping[type[FaregateError], int] = {
    InsufficientCreditsError: 402,
    AccessRefusedError: 403,
    QuotaExceededError: 429,
    RateLimitedError: 429,
    KeyConflictError: 409,
    HoldClosedError: 409,
    InvalidError: 400,
    UnavailableError: 503,
}


def call_id_of(data: Mapping[str, Any]) -> str | None:
    """Return LiteLLM's id of a call; in the proxy the caller may choose it by the header `x-litellm-call-id`."""
    found = data.get("litellm_call_id") or getattr(data.get("litellm_logging_obj"), "litellm_call_id", None)
    return found if isinstance(found, str) and found else None


def payer_of(data: Mapping[str, Any]) -> str | None:
    """Return the user of a call.

    In the proxy, the user of the virtual key; of a key without a user and of the master key, the end user that the request names.
    In the SDK, the `user` of the call, or `user_id` of its metadata.
    """
    key = data.get("user_api_key_dict")
    metadata = {**mapping(data.get("litellm_metadata")), **mapping(data.get("metadata"))}
    candidates = (
        *(getattr(key, name, None) for name in ("user_id", "end_user_id")),
        *(metadata.get(name) for name in ("user_api_key_user_id", "user_api_key_end_user_id")),
        data.get("user"),
        metadata.get("user_id"),
    )
    return next((found for found in candidates if isinstance(found, str) and found not in {"", _MASTER}), None)


def kind_of(call_type: str | None) -> Kind:
    """Return the kind of a call by LiteLLM's name of it."""
    name = call_type or ""
    if name in {TOOL, "mcp_call"}:
        return "tool"
    if _METERED.fullmatch(name):
        return "metered"
    return "free" if _FREE.fullmatch(name) else "unmetered"


def status_of(error: FaregateError) -> int:
    """Return the HTTP status with which the proxy answers a refusal."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
