"""A deployment that is looked after: months of users, plans, prices, quotas, keys, webhooks, dead letters, an odd hour."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.apps import Gateway

__all__ = ["KEPT_DAYS", "operate"]

KEPT_DAYS = 400
"""`late_event_days` that admits the history."""

_LETTERS = (
    ("credits_process_end_multimodel_queue", "unknown_feature: No feature 'ai_char_v1'; did you mean 'ai_chat_v1'?"),
    ("usage_events_queue", "invalid: user_id is required"),
)
_FEATURES = ("ai_chat_v1", "summarise", "translate")


def _facts(users: int, days: int) -> Iterator[dict[str, Any]]:
    """Users who came one after the other, each with a rhythm of their own; every sixth stayed away at last."""
    chance = random.Random(11)
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    for number in range(users):
        first, rhythm = number % 5 * days // 6 + chance.randint(0, 3), chance.uniform(0.25, 0.8)
        last = 35 if number % 6 == 0 and first < days - 50 else 0
        for back in range(days - first, last, -1):
            at = noon - timedelta(days=back) + timedelta(minutes=chance.randint(-300, 300))
            if chance.random() < rhythm * (0.4 if at.weekday() >= 5 else 1):
                credits = Decimal(chance.randint(20, 200)) / 10 * (1 + number % 4)
                feature = _FEATURES[0 if chance.random() < 0.6 else 1 + number % 2]
                yield {"user_id": f"user-{number:02}", "service": "chat", "feature_key": feature, "time": at, "credits": credits}  # fmt: skip


def _odd_hour() -> Iterator[dict[str, Any]]:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for back in range(400, 0, -1):
        at = hour - timedelta(hours=back) + timedelta(minutes=1)
        size = 10 if back > 1 else 400
        common = {"user_id": "batch", "service": "nightly", "feature_key": "summarise", "time": at}
        yield {**common, "kind": "request", "latency_ms": 900, "status": 200}
        yield {**common, "kind": "line", "model": "gpt-4o", "provider": "openai", "input_tokens": size * 100, "credits": size, "cost_usd": Decimal(size) / 200}  # fmt: skip


async def operate(gateway: Gateway, *, users: int = 70, days: int = 120) -> None:
    """Record the history, and make what operators make."""
    await _record(gateway, _odd_hour())
    await gateway.container.anomalies().check()  # before the users come: each of them would be a series to look at
    await _record(gateway, _facts(users, days))
    await _define(gateway)
    await _bury(gateway)
    await _spend(gateway)
    await _talk(gateway)
    await gateway.container.roller().run()


async def _record(gateway: Gateway, facts: Iterator[dict[str, Any]]) -> None:
    report = await gateway.container.recorder().record(list(facts))
    assert report.rejected == ()
    await gateway.container.roller().run()


async def _define(gateway: Gateway) -> None:
    plans = {"basic": 100, "pro": 1000}
    for name, credits in plans.items():
        grants = [{"credits": credits, "every": "month"}]
        await gateway.put(f"/api/plans/{name}", {"name": name.title(), "grants": grants, "margin_percent": 20})
    for owner, plan in (("ada", "pro"), ("bela", "basic"), ("user-03", "basic")):
        await gateway.put(f"/api/wallets/{owner}", {"plan": plan, "email": f"{owner}@example.com"})
    await gateway.put("/api/prices/in-house-7b", {"prices": {"input_mtok": Decimal("0.15"), "output_mtok": Decimal("0.6")}, "note": "own servers"})  # fmt: skip
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "day", "soft": 20, "hard": 40}]})
    await gateway.put("/api/organizations/acme", {"join": ["emil@example.com"]})
    await gateway.put("/api/organizations/acme/limits", {"member": "fatou", "limits": [{"period": "month", "hard": 200}]})  # fmt: skip
    await gateway.put("/api/quotas", {"owner_id": "user-01", "meter": "credits", "limit": 300, "period": "month"})
    await gateway.put("/api/quotas", {"owner_id": "*", "meter": "credits", "limit": 500_000, "period": "month", "hard": True})  # fmt: skip
    await gateway.post("/api/webhooks", {"url": "https://93.184.215.14/hooks/faregate", "events": ["credits.low", "usage.alert"], "description": "billing"})  # fmt: skip
    await gateway.put("/api/reports/team", {"kind": "weekly", "recipients": ["owner@example.com", "ops@example.com"], "timezone": "Europe/Berlin", "files": ["xlsx"]})  # fmt: skip
    await gateway.put("/api/budgets/chat", {"scope": "feature", "value": "ai_chat_v1", "amount": 60_000, "emails": ["owner@example.com"]})  # fmt: skip
    await gateway.put("/api/objectives/chat-works", {"indicator": "availability", "targetPercent": 99})
    for name, scopes in (("billing", ["wallets:read", "credits:process"]), ("reports", ["analytics:read"])):
        await gateway.post("/api/keys", {"name": name, "scopes": scopes, "spend_cap": {"credits": 500}})


async def _talk(gateway: Gateway, *, uses: int = 30, users: int = 5) -> None:
    """Settle uses of models yesterday, and rate them."""
    for number in range(users):
        await gateway.grant(f"talk-{number}", 100)

    async def use(number: int) -> None:
        user, key = f"talk-{number % users}", f"talk-{number:02}"
        usages = [{"ai_model": "gpt-4o", "input_tokens": 2000 + 50 * number, "output_tokens": 100}]
        assert (await gateway.end(user, "ai_chat_v1", usage_key=key, usages=usages, duration=900)).status == 200
        rated = {"usage_key": key, "score": 5 - number % 4, "tags": ["slow"] if number % 4 == 3 else []}
        assert (await gateway.post("/api/feedback", rated)).status == 201

    await asyncio.gather(*map(use, range(uses)))
    await _move(
        gateway,
        "talk-",
        timedelta(days=1),
        ("usage_line", "settled_at"),
        ("usage_event", "time"),
        ("feedback", "updated_at"),
    )


async def _move(gateway: Gateway, prefix: str, back: timedelta, *columns: tuple[str, str]) -> None:
    """Move what was settled just now into the past."""
    async with gateway.database.transaction() as session:
        for table, column in (*columns, ("charge", "settled_at"), ("charge", "created_at")):
            sql = f"""update faregate.{table} set {column} = {column} - cast(:back as interval)
              where starts_with(usage_key, :prefix) returning 1"""
            await gateway.database.rows(session, sql, back=back, prefix=prefix)


async def _bury(gateway: Gateway) -> None:
    sql = """insert into faregate.message (message_id, queue, body, dead_at, dead_reason)
      values (gen_random_uuid(), :queue, :body, now(), :reason)"""
    for queue, reason in _LETTERS:
        async with gateway.database.transaction() as session:
            await gateway.database.rows(session, sql, queue=queue, body=b'{"note": "hello"}', reason=reason)


async def _spend(gateway: Gateway, *, days: int = 21) -> None:
    """Charge two wallets daily in the past, so that the day on which they run out can be told."""
    for user, credits in (("dora", 9), ("gita", 4)):
        await gateway.grant(user, credits * 2 * days)

        async def charge(back: int, user: str = user, credits: int = credits) -> None:
            debit = {"credits": credits, "service": "chat", "usage_key": f"past-{user}-{back:02}"}
            assert (await gateway.post(f"/api/wallets/{user}/debits", debit)).status == 201

        await asyncio.gather(*map(charge, range(days)))
        for back in range(days):
            await _move(gateway, f"past-{user}-{back:02}", timedelta(days=back + 1))
