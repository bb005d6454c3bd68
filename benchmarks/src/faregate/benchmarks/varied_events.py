"""Generated usage events with many values in each dimension."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import Any

__all__ = ["VARIED_DAYS", "make_varied_events"]

VARIED_DAYS = 70
_USERS = 20_000
_ORGANIZATIONS = 200
_SKEW = 1.1
"""Exponent of Zipf's law: the first user has 2.1 times as many events as the second, half of all events are by forty users."""
_MODELS = [
    ("gpt-4o", "openai"),
    ("gpt-4o-mini", "openai"),
    ("gpt-4.1", "openai"),
    ("claude-sonnet-4", "anthropic"),
    ("claude-3-5-haiku", "anthropic"),
    ("gemini-2.5-flash", "google"),
    ("gemini-2.5-pro", "google"),
    ("mistral-large", "mistral"),
]
_SERVICES = ["chat", "search", "summary", "translation", "images", "speech"]
_FEATURES_OF_SERVICE = 4
_COUNTRIES = [
    *("US", "DE", "IN", "BR", "GB", "FR", "JP", "CA", "ES", "IT", "NL", "PL", "SE", "CH", "AT", "MX", "AR", "AU", "KR"),
    *("SG", "ZA", "NG", "KE", "EG", "TR", "AE", "ID", "VN", "TH", "NZ"),
]
_DEVICES = ["desktop", "mobile", "tablet", "bot", "server", "other"]
_METERS = ["api", "storage", "bandwidth", "compute"]
_CHUNK = 10_000


def make_varied_events(
    count: int, *, now: datetime, days: int = VARIED_DAYS, users: int = _USERS, seed: int = 7
) -> Iterator[list[dict[str, Any]]]:
    """Yield `count` events over the `days` before `now`, in order of time, 10,000 at a time.

    Of ten events, four are requests, four are lines of the same uses, and two are meters. Each dimension is drawn apart from
    the others, so that few events share all of them; only the organisation is the user's.
    """
    random, step = Random(seed), timedelta(days=days) / count  # noqa: S311
    start, weights = now - timedelta(days=days), list(accumulate(1 / (n + 1) ** _SKEW for n in range(users)))
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(first + _CHUNK, count))
        drawn = random.choices(range(users), cum_weights=weights, k=len(numbers))
        yield list(_uses(random, [(n, start + step * n, user) for n, user in zip(numbers, drawn, strict=True)]))


def _uses(random: Random, drawn: list[tuple[int, datetime, int]]) -> Iterator[dict[str, Any]]:
    """Yield the events; the second of two requests and lines belongs to the use of the first."""
    use: dict[str, Any] = {}
    for number, time, user in drawn:
        share = number % 10
        if share >= 8 or not share % 2 or not use:
            use = _shared(random, number, user)
        event = {**use, "id": f"v{number}", "time": time}
        yield event | (_meter(random, number) if share >= 8 else _line(random) if share % 2 else _request(random))


def _shared(random: Random, number: int, user: int) -> dict[str, Any]:
    service, (model, provider) = random.randrange(len(_SERVICES)), random.choice(_MODELS)
    organization = user * 7919 % (_ORGANIZATIONS + 20)
    return {
        "source": "bench",
        "user_id": f"user-{user}",
        "organization_id": f"org-{organization}" if organization < _ORGANIZATIONS else None,
        "service": _SERVICES[service],
        "feature_key": f"feature-{service * _FEATURES_OF_SERVICE + random.randrange(_FEATURES_OF_SERVICE)}",
        "usage_key": f"v{number // 2}",
        "model": model,
        "provider": provider,
        "country": random.choice(_COUNTRIES),
        "device": random.choice(_DEVICES),
        "latency_ms": int(random.lognormvariate(6.5, 0.8)),
        "status": random.choices((200, 429, 500), (96, 2, 2))[0],
    }


def _request(random: Random) -> dict[str, Any]:
    return {"model": None, "provider": None, "latency_ms": int(random.lognormvariate(6.6, 0.8))}


def _line(random: Random) -> dict[str, Any]:
    tokens = random.randrange(50, 4000)
    cost = Decimal(tokens) / 1_000_000
    return {
        "kind": "line",
        "input_tokens": tokens,
        "output_tokens": tokens // 4,
        "credits": cost * 120,
        "cost_usd": cost,
    }


def _meter(random: Random, number: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("usage_key", "model", "provider", "latency_ms", "status"))
    return {**nothing, "meter": _METERS[number % 4], "quantity": random.randrange(1, 100)}
