"""Past usage for the demonstration: events of the weeks before. Pure."""

import math
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.cli.demo.traffic import TrafficRequest

__all__ = ["past_events"]

_DAYS = 64
_FEATURES = ("ai_chat", "summarise", "translate")
_COUNTRIES = ("DE", "DE", "FR", "US", "IN")
_CREDITS_PER_TOKEN = Decimal("0.0008")
_NIGHT_SHARE = 0.15
_WEEKEND_SHARE = 0.5


def past_events(traffic: Sequence[TrafficRequest], *, now: datetime, seed: int) -> Iterator[dict[str, Any]]:
    """Yield two usage events for each request, the use and its model line, at times within the last 64 days.

    There are more by day than by night, more from Monday to Friday, and more in the last weeks.
    """
    rng = random.Random(seed)  # noqa: S311  traffic, not secrets
    for request in traffic:
        at = _moment(rng, now)
        key = f"past:{request.number}"
        use = {
            "user_id": request.user_id,
            "service": "assistant",
            "feature_key": rng.choice(_FEATURES),
            "usage_key": key,
            "country": rng.choice(_COUNTRIES),
            "time": at.isoformat(),
        }
        tokens = {"input_tokens": request.input_tokens, "output_tokens": request.output_tokens}
        credits = (sum(tokens.values()) * _CREDITS_PER_TOKEN).quantize(Decimal("0.0001"))
        failed = rng.random() < 0.015
        yield {
            **use,
            "id": key,
            "kind": "request",
            "status": 500 if failed else 200,
            "latency_ms": int(math.exp(rng.gauss(6.7, 0.5))),
        }
        yield {**use, "id": f"{key}:line", "kind": "line", "model": request.model, "credits": credits, **tokens}


def _moment(rng: random.Random, now: datetime) -> datetime:
    while True:
        days = _DAYS * (1 - math.sqrt(rng.random()))
        at = now - timedelta(days=days, hours=1)
        share = _NIGHT_SHARE if not 7 <= at.hour < 20 else 1.0
        share *= _WEEKEND_SHARE if at.weekday() >= 5 else 1.0
        if rng.random() < share:
            return at
