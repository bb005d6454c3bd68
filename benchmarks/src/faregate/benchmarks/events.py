"""Generated usage events of a realistic month, determined by a seed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

__all__ = ["make_events"]

_MODELS = [
    ("gpt-4o", "openai"),
    ("gpt-4o-mini", "openai"),
    ("claude-sonnet-4", "anthropic"),
    ("gemini-2.5-flash", "google"),
]
_SERVICES = ["chat", "search", "summary", "translation", "images"]
_COUNTRIES = ["US", "DE", "IN", "BR", "GB", "FR", "JP", "CA"]
_DEVICES = ["desktop", "mobile", "tablet", "server"]
_METERS = ["api", "storage", "bandwidth", "compute"]
_CHUNK = 10_000


def make_events(
    count: int, *, now: datetime, days: int = 30, users: int = 5_000, seed: int = 7
) -> Iterator[list[dict[str, Any]]]:
    """Yield `count` events over the `days` before `now`, in order of time, 10,000 at a time; of ten events, four are
    requests, four are lines and two are meters.
    """
    random, step = Random(seed), timedelta(days=days) / count  # noqa: S311
    start = now - timedelta(days=days)
    for first in range(0, count, _CHUNK):
        yield [
            _event(random, number, start + step * number, users) for number in range(first, min(first + _CHUNK, count))
        ]


def _event(random: Random, number: int, time: datetime, users: int) -> dict[str, Any]:
    service = random.randrange(5)
    event: dict[str, Any] = {
        "id": f"e{number}", "source": "bench", "user_id": f"user-{int(random.random() ** 2 * users)}", "time": time,
    }  # fmt: skip
    share = number % 10
    if share >= 8:
        return {**event, "meter": _METERS[number % 4], "quantity": random.randrange(1, 100)}
    event |= {
        "service": _SERVICES[service],
        "feature_key": f"feature-{service * 2 + number % 2}",
        "usage_key": f"k{number // 2}",
    }
    latency = int(random.lognormvariate(6.5, 0.8))
    if share % 2:
        model, provider = _MODELS[random.randrange(4)]
        tokens = random.randrange(50, 4000)
        cost = Decimal(tokens) / 1_000_000
        return event | {
            "kind": "line", "model": model, "provider": provider, "input_tokens": tokens, "output_tokens": tokens // 4,
            "credits": cost * 120, "cost_usd": cost, "latency_ms": latency, "status": 200,
        }  # fmt: skip
    return event | {
        "latency_ms": latency, "status": 500 if random.random() < 0.02 else 200, "country": random.choice(_COUNTRIES),
        "device": random.choice(_DEVICES),
    }  # fmt: skip
