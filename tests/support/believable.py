"""Thirty days of believable usage in a gateway, so that pages have something to show."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.apps import Gateway

__all__ = ["fill"]

MODELS = {
    "gpt-4o": ("openai", 5), "claude-sonnet-4-5": ("anthropic", 4), "gpt-4o-mini": ("openai", 6),
    "gemini-2.5-flash": ("google", 3), "mistral-large-latest": ("mistral", 1), "in-house-7b": (None, 1),
}  # fmt: skip
FEATURES = {"ai_chat_v1": 6, "summarise": 3, "translate": 2}
USERS = ["ada", "bela", "carla", "auth0:58f3", "emil@example.com", "fatou"]
COUNTRIES = {"DE": 5, "FR": 2, "IN": 3, "US": 4}


def _pick(chance: random.Random, weights: Any) -> Any:
    return chance.choices(list(weights), weights=list(weights.values()))[0]


def _events(days: int, per_day: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(7)
    now = datetime.now(UTC)
    for day in range(days):
        busy = per_day * (0.55 if (now - timedelta(days=day)).weekday() >= 5 else 1) * (1.2 - 0.4 * day / days)
        for _ in range(int(busy)):
            at = now - timedelta(days=day, minutes=chance.uniform(1, 1439))
            if chance.random() > 0.35 + 0.65 * math.sin(math.pi * max(0, at.hour - 6) / 18) or at > now:
                continue
            yield from _use(chance, at)


def _use(chance: random.Random, at: datetime) -> Iterator[dict[str, Any]]:
    model = _pick(chance, {name: weight for name, (_, weight) in MODELS.items()})
    provider = MODELS[model][0]
    key = f"h-{chance.getrandbits(60):x}"
    tokens = int(chance.lognormvariate(6.5, 0.8))
    credits = (Decimal(tokens) * Decimal("0.0009")).quantize(Decimal("0.000001"))
    common = {
        "user_id": chance.choice(USERS), "service": "chat", "feature_key": _pick(chance, FEATURES), "usage_key": key,
        "country": _pick(chance, COUNTRIES), "device": chance.choice(["mobile", "desktop", "desktop"]), "time": at.isoformat(),
    }  # fmt: skip
    failed = chance.random() < 0.02
    latency = int(chance.lognormvariate(6.8, 0.5))
    yield {**common, "id": f"{key}-r", "kind": "request", "latency_ms": latency, "status": 500 if failed else 200}
    yield {
        **common, "id": f"{key}-l", "kind": "line", "model": model, **({"provider": provider} if provider else {}),
        "input_tokens": tokens, "output_tokens": tokens // 3, "credits": credits,
        "cost_usd": (credits * Decimal("0.008")).quantize(Decimal("0.000000000001")),
    }  # fmt: skip


async def _limit(gateway: Gateway) -> None:
    """Set quotas and spending limits, which count what is used from then on."""
    await gateway.put("/api/quotas", {"owner_id": "ada", "meter": "requests", "limit": 1000, "period": "month"})
    await gateway.put("/api/quotas", {"owner_id": "org:acme", "meter": "tokens", "limit": 2_000_000, "period": "month"})
    await gateway.put("/api/wallets/bela/limits", {"limits": [{"period": "month", "soft": 40, "hard": 50}]})
    await gateway.put("/api/wallets/carla/limits", {"limits": [{"period": "day", "soft": 3}]})
    limits = [{"period": "week", "soft": 80, "hard": 100}]
    await gateway.put("/api/organizations/acme/limits", {"member": "fatou", "limits": limits})


async def fill(gateway: Gateway, *, days: int = 30, per_day: int = 60) -> None:
    """Define features, grant credits, record history, and use some features now: settled, open, refused, dead."""
    for feature in FEATURES:
        await gateway.feature(feature, name=feature.replace("_", " "))
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 5})
    events = list(_events(days, per_day))
    for start in range(0, len(events), 1000):
        answer = await gateway.post("/api/usage-events", events[start : start + 1000])
        assert answer.data["rejected"] == [], answer.body
    for number, user in enumerate(USERS):
        await gateway.grant(user, 100 + 50 * number)
        await gateway.grant(
            user, Decimal("12.5"), source="bonus", expires_at=(datetime.now(UTC) + timedelta(days=20)).isoformat()
        )
    await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["fatou"]})
    await gateway.grant("org:acme", 500)
    await _limit(gateway)
    for number in range(12):
        user, key = USERS[number % 3], f"use-{number}"
        await gateway.start(user, "ai_chat_v1", usage_key=key, estimated_credits=2)
        if number < 9:
            usages = [{"ai_model": "gpt-4o", "input_tokens": 900 + 100 * number, "output_tokens": 200}]
            await gateway.end(user, "ai_chat_v1", usage_key=key, usages=usages, duration=800 + 20 * number)
    await gateway.container.roller().run()
