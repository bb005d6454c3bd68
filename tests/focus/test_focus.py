"""Export in FOCUS from a real ledger: by library, HTTP and command."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.analytics.focus.files import check_file
from faregate.client import ModelUsage
from faregate.core.errors import InvalidError
from faregate.host import Faregate
from support.apps import open_gateway, settings_for
from support.processes import run_command

NOW = datetime.now(UTC)
START, END = NOW - timedelta(days=1), NOW + timedelta(days=1)


@pytest.fixture
async def fare(database_url: str) -> AsyncIterator[Faregate]:
    """A ledger with token-priced, fixed, pooled, recorded, unpriced and refunded uses."""
    features: dict[str, dict[str, Any]] = {
        "image": {"strategy": "fixed", "parameters": {"credits": "1.5"}, "name": "Images"},
        "chat": {"strategy": "token_priced", "margin_percent": 20},
    }
    async with Faregate(database_url, features=features, initial_credits=100) as fare:
        await fare.organizations.define("acme", policy="pooled", join=["kim"])
        await fare.organizations.define("free", policy="recorded", join=["lee"])
        await fare.grant("org:acme", 50, key="g1")
        cached = {"input_tokens": 1001, "cache_read_tokens": 400, "output_tokens": 333}
        line = ModelUsage("gpt-4o", provider="openai", tokens=cached)
        claude = ModelUsage("claude-sonnet-4-5", provider="anthropic", tokens={"input_tokens": 777, "cache_write_1h_tokens": 100, "cache_write_tokens": 200, "output_tokens": 11})  # fmt: skip
        await fare.charge("image", "ada", key="k1")
        await fare.charge("chat", "kim", key="k2", usages=[line, claude], organization="acme")
        await fare.charge("chat", "lee", key="k3", usages=[line], organization="free")
        await fare.charge("chat", "ada", key="k4", usages=[ModelUsage("unheard-of", input_tokens=5)])
        await fare.refund("k1", Decimal("0.5"), reason="blurred")
        yield fare


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def total(rows: list[dict[str, str]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


async def test_billed_credits_are_those_of_the_ledger_by_use_and_type(fare: Faregate) -> None:
    batches = [batch async for batch in fare.container.focus().batches(START, END)]
    rows = [row for batch in batches for row in rows_of(batch.content)]
    granted = {"ada": 100, "org:acme": 150, "lee": 100}
    spent = {owner: credits - (await fare.balance(owner)).balance for owner, credits in granted.items()}
    by = {owner: total([row for row in rows if row["BillingAccountId"] == owner], "PricingCurrencyEffectiveCost") for owner in spent}  # fmt: skip
    chat = [row for row in rows if row["x_UsageKey"] == "k2"]
    (refund,) = [row for row in rows if Decimal(row["BilledCost"]) < 0]

    assert by == spent
    assert by["lee"] == 0 < total([row for row in rows if row["x_UsageKey"] == "k3"], "ListCost")
    assert [(row["x_Model"], row["x_TokenType"], row["ConsumedQuantity"]) for row in chat] == [
        ("gpt-4o", "input_tokens", "601"),
        ("gpt-4o", "cache_read_tokens", "400"),
        ("gpt-4o", "output_tokens", "333"),
        ("claude-sonnet-4-5", "input_tokens", "577"),
        ("claude-sonnet-4-5", "cache_write_tokens", "100"),
        ("claude-sonnet-4-5", "cache_write_1h_tokens", "100"),
        ("claude-sonnet-4-5", "output_tokens", "11"),
    ]
    assert Decimal(chat[0]["x_ProviderCost"]) == 601 * Decimal("0.0000025")
    assert Decimal(chat[1]["x_ProviderCost"]) == 400 * Decimal("0.00000125")
    assert Decimal(chat[5]["x_ProviderCost"]) == 100 * Decimal("0.000006")
    assert (chat[0]["BillingAccountId"], chat[0]["SubAccountId"], chat[0]["SubAccountType"]) == (
        "org:acme",
        "kim",
        "User",
    )
    assert (refund["x_UsageKey"], Decimal(refund["BilledCost"]), refund["ChargeDescription"]) == ("k1", Decimal("-0.005"), "Refund: blurred")  # fmt: skip
    assert all(check_file(batch.content) == batch.rows for batch in batches)


async def test_batches_are_small_and_hold_each_row_once(fare: Faregate) -> None:
    whole = [batch async for batch in fare.container.focus().batches(START, END)]
    small = [batch async for batch in fare.container.focus().batches(START, END, most_rows=3)]
    light = [batch async for batch in fare.container.focus().batches(START, END, most_bytes=4000)]
    together = rows_of(whole[0].content)

    assert {batch.rows for batch in small[:-1]} == {3}
    assert [row for batch in small for row in rows_of(batch.content)] == together
    assert [row for batch in light for row in rows_of(batch.content)] == together
    assert max(len(batch.content) for batch in light) < 6000
    with pytest.raises(InvalidError, match="from 1 to 10,000"):
        [batch async for batch in fare.container.focus().batches(START, END, most_rows=10_001)]


async def test_http_gives_the_same_in_parts(fare: Faregate, database_url: str) -> None:
    (whole,) = [batch async for batch in fare.container.focus().batches(START, END)]
    span = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={END:%Y-%m-%dT%H:%M:%SZ}"
    parts: list[dict[str, str]] = []
    async with open_gateway(settings_for(database_url)) as gateway:
        cursor: str | None = ""
        pages = 0
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            answer = await gateway.http.get(f"/api/analytics/focus?{span}&limit=3{more}", headers={"x-server-api-key": "fg_test_0123456789abcdef"})  # fmt: skip
            assert answer.status_code == 200, answer.text
            parts += rows_of(answer.content)
            cursor, pages = answer.headers.get("x-faregate-next-cursor"), pages + 1
        wrong = await gateway.get(f"/api/analytics/focus?{span}&cursor=nonsense")

    assert parts == rows_of(whole.content)
    assert pages > 2
    assert (wrong.status, wrong.error["param"]) == (422, "cursor")


async def test_the_command_writes_files_again_and_checks_them(
    fare: Faregate, database_url: str, tmp_path: Path
) -> None:
    given = {"FAREGATE_DATABASE_URL": database_url, "FAREGATE_PROVIDER_NAME": "Example Inc."}
    span = ("--from", f"{START:%Y-%m-%d}", "--to", f"{END:%Y-%m-%d}")
    many = await run_command("export", "focus", str(tmp_path), *span, "--rows", "3", **given)
    count = len(list(tmp_path.glob("focus_*.csv")))
    once = await run_command("export", "focus", str(tmp_path), *span, "--output", "json", **given)
    (file,) = tmp_path.iterdir()
    checked = await run_command("export", "check", str(file), **given)
    file.write_text(file.read_text().replace("Usage-Based", "Sometimes", 1))
    wrong = await run_command("export", "check", str(file), **given)

    assert (many.code, once.code, checked.code, wrong.code) == (0, 0, 0, 1)
    assert count > 3
    assert file.name == f"focus_{START:%Y-%m-%d}_{END:%Y-%m-%d}_0001.csv"
    assert "rows are valid" in checked.out
    assert "row 1: ChargeFrequency 'Sometimes' is none of" in wrong.err
    assert {row["ProviderName"] for row in rows_of(file.read_bytes())} == {"Example Inc."}
