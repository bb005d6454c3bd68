"""Token estimates from the text of requests and replies. Pure.

No tokenizer is used: about four characters of ASCII text are one token, two of other alphabets, one of Chinese, Japanese
and Korean. Settlements with estimated counts are marked as such.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, cast

from faregate.wire.exact_json import mapping

__all__ = ["reply_tokens", "request_tokens", "text_tokens"]

_QUARTERS_ASCII, _QUARTERS_OTHER, _QUARTERS_CJK = 1, 2, 4
_FIRST_CJK = "\u2e80"
_MESSAGE_TOKENS = 4
"""Tokens of the frame of one message."""
_MEDIA_TOKENS = 1000
"""Tokens of an image or a document of unknown size."""

_REQUEST_FIELDS = (
    *("messages", "input", "inputs", "prompt", "instructions", "system"),
    *("tools", "functions", "response_format", "text", "questions"),
)
_MEDIA = frozenset({"image", "image_url", "input_image", "document", "file", "input_file", "input_audio"})
_UNCOUNTED = frozenset(
    {"type", "role", "id", "cache_control", "detail", "encoding_format", "model", "url", "data", "file_id"}
)
_FRAME = frozenset({"content", "parts", "text"})
"""Field names that the model does not read as text, unlike the names of tools and of their parameters."""
_TEXT_FIELDS = (
    "content",
    "text",
    "refusal",
    "reasoning_content",
    "thinking",
    "partial_json",
    "arguments",
    "delta",
    "output_text",
)
_NESTED_FIELDS = (
    *("choices", "delta", "message", "content", "output", "tool_calls", "function"),
    *("candidates", "parts", "contentBlockDelta", "response"),
)


def text_tokens(text: str) -> int:
    """Return the estimated tokens of a text; 0 only for the empty text."""
    if text.isascii():
        return ceil(len(text) * _QUARTERS_ASCII / 4)
    quarters = sum(
        _QUARTERS_ASCII if letter.isascii() else _QUARTERS_CJK if letter >= _FIRST_CJK else _QUARTERS_OTHER
        for letter in text
    )
    return ceil(quarters / 4)


def request_tokens(body: Mapping[str, Any]) -> int:
    """Return the estimated tokens of a request to a model, its tools and images included."""
    return sum(_weight(body[name]) for name in _REQUEST_FIELDS if name in body)


def reply_tokens(body: Mapping[str, Any]) -> int:
    """Return the estimated tokens of the content in a reply, or in one event of its stream."""
    return _content_tokens(body)


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return text_tokens(value)
    if isinstance(value, Mapping):
        return _object_weight(mapping(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        items = cast("Sequence[Any]", value)
        return sum(1 if type(item) is int else _weight(item) for item in items)
    return 0


def _object_weight(item: Mapping[str, Any]) -> int:
    if item.get("type") in _MEDIA:
        return _MEDIA_TOKENS
    counted = ((name, value) for name, value in item.items() if name not in _UNCOUNTED)
    inside = sum((0 if name in _FRAME else text_tokens(name)) + _weight(value) for name, value in counted)
    return inside + (_MESSAGE_TOKENS if "role" in item else 0)


def _content_tokens(value: Any) -> int:
    if isinstance(value, Mapping):
        body = mapping(value)
        texts = (body[name] for name in _TEXT_FIELDS if isinstance(body.get(name), str))
        inner = (body[name] for name in _NESTED_FIELDS if isinstance(body.get(name), Mapping | list))
        return sum(map(text_tokens, texts)) + sum(map(_content_tokens, inner))
    if isinstance(value, list):
        return sum(map(_content_tokens, cast("list[Any]", value)))
    return 0
