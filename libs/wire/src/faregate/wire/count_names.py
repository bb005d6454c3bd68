"""Names of counts: canonical names, aliases and corrections."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = ["ALIASES", "COUNT_NAMES", "EVERY_COUNT", "looks_like_count", "meant_by", "unknown_name"]

COUNT_NAMES = (
    *("input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    *("output_reasoning_tokens", "output_citation_tokens", "input_tool_tokens"),
    *("input_text_tokens", "output_text_tokens"),
    *("input_audio_tokens", "output_audio_tokens", "cache_audio_read_tokens"),
    *("input_image_tokens", "output_image_tokens", "cache_image_read_tokens"),
    *("input_video_tokens", "output_video_tokens", "cache_video_read_tokens"),
    *("audio_seconds", "input_audio_seconds", "output_audio_seconds"),
    *("input_characters", "input_text_messages", "input_pixels"),
    *("input_document_pages", "input_annotated_document_pages"),
    *("web_searches", "social_searches", "storage_searches", "rerank_searches", "code_executions"),
)
"""The counts that a line may hold; `input_tokens` and `output_tokens` are totals, the other tokens are parts of them."""

_MODALITIES = ("text", "audio", "image", "video")

EVERY_COUNT = frozenset(
    (
        *COUNT_NAMES,
        *(f"cache_{kind}_{way}_tokens" for kind in _MODALITIES for way in ("read", "write", "write_5m", "write_1h")),
        *(f"input_{kind}_tool_tokens" for kind in _MODALITIES),
        *(f"output_{kind}_{part}_tokens" for kind in _MODALITIES for part in ("reasoning", "citation")),
    )
)
"""All names for which a price can be set; only hosts that import the library can send the rarer ones."""

ALIASES = {
    "prompt_tokens": "input_tokens",
    "input_token": "input_tokens",
    "completion_tokens": "output_tokens",
    "output_token": "output_tokens",
}
"""Accepted aliases of the totals."""

_CORRECTIONS = {
    "model": "ai_model",
    "model_name": "ai_model",
    "cached_tokens": "cache_read_tokens",
    "cached_input_tokens": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "cache_creation_tokens": "cache_write_tokens",
    "cached_content_token_count": "cache_read_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "thoughts_token_count": "output_reasoning_tokens",
    "prompt_token_count": "input_tokens",
    "candidates_token_count": "output_tokens",
    "seconds": "audio_seconds",
    "web_search_requests": "web_searches",
    "cost": "reported_cost_usd",
    "cost_usd": "reported_cost_usd",
}
"""Canonical names of fields, by the names that providers use."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")
_COUNTED = re.compile(
    r"(?:^|_)(?:tokens?|token_count|searches|search_requests|executions|characters|chars|pages|pixels|usages?|costs?|cost_usd"
    r"|(?:audio|video|speech|input|output|billed)_(?:seconds|minutes|duration))$|^(?:seconds|credits|quantity|units?)$"
)
_NAME_LENGTH = 100
_CLOSE = 0.85


def snake(name: str) -> str:
    """Return a name of any spelling (`inputTokens`, `Input-Tokens`) in snake_case."""
    return "_".join(word for word in _WORDS.split(name[:_NAME_LENGTH]) if word).lower()


def looks_like_count(name: str) -> bool:
    """Return whether a name looks like a count or a price: tokens, seconds, searches, pages, usage, cost."""
    return _COUNTED.search(snake(name)) is not None


def meant_by(name: str, known: Collection[str]) -> str | None:
    """Return the name in `known` that an unknown one most likely means; None if none is similar."""
    plain = snake(name)
    for candidate in (plain, ALIASES.get(plain), _CORRECTIONS.get(plain)):
        if candidate is not None and candidate in known:
            return candidate
    return next(iter(get_close_matches(plain, known, n=1, cutoff=_CLOSE)), None)


def unknown_name(name: str, known: Iterable[str]) -> str:
    """Return the error text for an unknown name, with the most similar known one as a suggestion."""
    meant = meant_by(name, frozenset(known))
    shown = name[:_NAME_LENGTH]
    return f"{shown} is not known here; did you mean {meant}?" if meant else f"{shown} is not known here"
