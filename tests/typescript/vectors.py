"""Test vectors of the readers of provider usage, for the TypeScript client.

`python tests/typescript/vectors.py` writes them as the Python readers read them; a test demands that the file is current.
"""

import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from client.test_observing import MORE, TOTALS
from client.test_same_reading import MISCOUNTED, OVERCOUNTED

from faregate.client import ModelUsage, UnreadableReplyError
from faregate.client.replies.estimating import request_tokens, text_tokens
from faregate.client.replies.observer import Observer
from faregate.client.replies.usage_lines import Lines
from faregate.client.request_bodies import line_body
from faregate.wire import exact_json
from faregate.wire.count_names import COUNT_NAMES
from faregate.wire.provider_usage import UnreadableUsageError, read_usage
from support.native_forms import FORMS

__all__ = ["PATH", "written"]

PATH = Path(__file__).parents[2] / "clients/typescript/test/vectors.json"

_SEED = 20_261_128
_VARIATIONS = 5
_ODD: tuple[Any, ...] = (None, 0, 1, 7, 999, 2.5, 3.0, -1, "5", True, 10**9 + 1, {}, [])
_MODALITIES = [
    {"modality": name, "tokenCount": 10 + number} for number, name in enumerate(("TEXT", "AUDIO", "IMAGE", "VIDEO"))
]
_GEMINI_MODALITIES: dict[str, Any] = {
    "usage_metadata": {
        "prompt_token_count": 200,
        "candidates_token_count": 100,
        "prompt_tokens_details": [*_MODALITIES, {"modality": "DOCUMENT", "tokenCount": 5}, {"modality": "SMELL"}],
        "cacheTokensDetails": _MODALITIES,
        "responseTokensDetails": _MODALITIES,
        "total_token_count": 300,
    }
}
_BODIES: Mapping[str, Any] = {
    **FORMS,
    **MORE,
    **TOTALS,
    "miscounted": MISCOUNTED,
    "overcounted": OVERCOUNTED,
    "gemini's modalities": _GEMINI_MODALITIES,
}

_CHAT = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o"}
_STREAMS: Mapping[str, list[dict[str, Any]]] = {
    "openai chat": [
        {**_CHAT, "choices": [{"delta": {"content": "Tap in, "}}]},
        {**_CHAT, "choices": [{"delta": {"content": "ride."}}]},
        {**_CHAT, "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}},
    ],
    "openai responses": [
        {"type": "response.created", "response": {"id": "r", "model": "gpt-5", "usage": None}},
        {"type": "response.output_text.delta", "delta": "Tap in, ride."},
        {
            "type": "response.completed",
            "response": {
                "id": "r",
                "model": "gpt-5",
                "output": [{"type": "web_search_call", "action": {"type": "search"}}, {"type": "web_search_call"}],
                "usage": {"input_tokens": 10, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 6}},
            },
        },
    ],
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "model": "claude-sonnet-4-5",
                "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1},
            },
        },
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Tap in, ride."}},
        {"type": "message_delta", "usage": {"output_tokens": 12}},
    ],
    "gemini": [
        {
            "responseId": "g",
            "modelVersion": "gemini-2.5-flash",
            "candidates": [{"content": {"parts": [{"text": "Tap in, ride."}]}}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": output, "totalTokenCount": 10 + output},
        }
        for output in (3, 9)
    ],
    "gemini, revised": [
        {
            "responseId": "g",
            "modelVersion": "gemini-2.5-flash",
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, **more},
        }
        for more in ({"cachedContentTokenCount": 8}, {})
    ],
    "bedrock": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Tap in"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 4}, "metrics": {"latencyMs": 1}}},
    ],
    "ollama": [
        {"model": "llama3.2", "done": False, "message": {"content": "Tap"}},
        {"model": "llama3.2", "done": True, "prompt_eval_count": 26, "eval_count": 259},
    ],
    "no reply": [{"foo": 1}, {"type": "ping"}],
}
_ENDS = ("complete", "left", "failed")
_ESTIMATES: tuple[list[ModelUsage], ...] = (
    [],
    [ModelUsage("gpt-4o", 800, 50)],
    [ModelUsage("gpt-5", 5), ModelUsage("nova", 6)],
)
_TEXTS = ("", "a", "Tap in, ride.", "Grüße aus Köln", "你好,世界", "mixed 日本語 text", "🎫🎫", "\u2e7f\u2e80")
_REQUESTS: tuple[dict[str, Any], ...] = (
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]},
    {"input": [101, 7592, 102]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {}}]}
        ]
    },
    {"tools": [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}]},
    {"system": "你好", "messages": []},
)


def written() -> str:
    """Return the file: one vector a line."""
    parts: dict[str, list[Any]] = {
        "count_names": list(COUNT_NAMES),
        "readings": list(_readings()),
        "observations": list(_observations()),
        "texts": [{"text": text, "tokens": text_tokens(text)} for text in _TEXTS],
        "requests": [{"body": body, "tokens": request_tokens(body)} for body in _REQUESTS],
    }
    return "{" + ",\n".join(f'"{name}": [\n{_lines(items)}\n]' for name, items in parts.items()) + "}\n"


def _lines(items: list[Any]) -> str:
    return ",\n".join(exact_json.dumps(item).decode() for item in items)


def _readings() -> Iterator[dict[str, Any]]:
    for name, body in _BODIES.items():
        yield _reading(name, body)
        for number in range(_VARIATIONS):
            yield _reading(f"{name} {number + 1}", _varied(body, random.Random(f"{_SEED} {name} {number}")))


def _reading(name: str, body: Any) -> dict[str, Any]:
    """Return what a body of JSON is read as; what a text of JSON cannot say, such as a float, is read back first."""
    plain = exact_json.loads_lenient(exact_json.dumps(body))
    try:
        found = read_usage(plain)
    except UnreadableUsageError as error:
        return {"name": name, "body": plain, "error": error.name}
    if found is None:
        return {"name": name, "body": plain, "reading": None}
    facts = {key: value for key, value in asdict(found).items() if key != "usage"}
    return {"name": name, "body": plain, "reading": facts}


def _varied(value: Any, chance: random.Random) -> Any:
    """Return a copy with one field at any depth replaced, or removed."""
    copy = exact_json.loads_lenient(exact_json.dumps(value))
    places = list(_places(copy))
    parent, name = chance.choice(places)
    if chance.random() < 1 / 4:
        del parent[name]
    else:
        parent[name] = chance.choice(_ODD)
    return copy


def _places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _places(item)
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield cast("dict[str, Any]", value), name
            yield from _places(item)


def _observations() -> Iterator[dict[str, Any]]:
    for name, events in _STREAMS.items():
        for kept in range(len(events) + 1):
            for number, estimate in enumerate(_ESTIMATES):
                end = _ENDS[(kept + number) % len(_ENDS)]
                yield _observation(f"{name}, {kept} events, {end}", events[:kept], estimate, end)
    for name in ("OPENAI_CHAT", "ANTHROPIC", "GEMINI"):
        yield _observation(f"{name} twice", [{**FORMS[name], "id": "same"}] * 2, [], "complete")
        yield _observation(f"{name} without an id", [FORMS[name]] * 2, [], "complete")


def _observation(name: str, events: list[dict[str, Any]], estimate: list[ModelUsage], end: str) -> dict[str, Any]:
    """Return the lines of a stream that a client watches."""
    observer, whole = Observer(), Observer()
    observer.expect("gpt-4o", 120)
    seen = [_seen(observer, event) for event in events]
    match end:
        case "complete":
            observer.end_without_usage()
        case "failed":
            observer.fail()
        case _:
            observer.break_off()
    whole.merge(observer)
    lines = whole.lines(estimate)
    return {
        "name": name,
        "events": events,
        "seen": seen,
        "end": end,
        "estimate": [line_body(line) for line in estimate],
        **_outcome(lines),
    }


def _seen(observer: Observer, event: dict[str, Any]) -> bool:
    try:
        observer.observe(event)
    except UnreadableReplyError:
        return False
    return True


def _outcome(lines: Lines) -> dict[str, Any]:
    usages = [line_body(line) for line in lines.usages]
    return {"usages": usages, "estimated": lines.estimated, "unread": list(lines.unread)}


if __name__ == "__main__":
    PATH.write_text(written())
