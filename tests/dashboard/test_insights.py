"""Insights in a real browser: results with their evidence, too little history as such, anomalies that are judged."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from playwright.async_api import expect

from support.browsing import Desk, loaded

TABS = {
    "run-outs": "gita", "cohorts": "Retention", "churn": "expected to be gone", "segments": "champions", "upsell": "pro", "costs": "Cheaper model of the family",
    "satisfaction": "slow", "budgets": "ai_chat_v1",
}  # fmt: skip
"""A word of each page's result."""


async def test_a_forecast_stands_beside_the_past_with_its_test_and_its_evidence(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights?tz=UTC")
    await loaded(page)
    answer = (await desk.gateway.get("/api/analytics/forecast?of=credits&groupBy=day")).data
    assert answer["enough"]
    card = page.get_by_role("region", name="Forecast: Credits")
    await expect(card).to_contain_text(f"{round(answer['total'], 2):,}".rstrip("0").rstrip("."))
    await expect(card.get_by_role("region", name="Tested on your own past")).to_contain_text(
        answer["tests"][0]["method"]
    )
    await card.locator("summary").click()
    for part in (answer["evidence"]["method"], answer["evidence"]["uncertainty"], *answer["evidence"]["limits"]):
        await expect(card).to_contain_text(part)
    chart = card.locator(".chart[tabindex]")
    await chart.focus()
    await page.keyboard.press("Home")
    await expect(page.locator("#announcer")).not_to_contain_text("expected")
    await page.keyboard.press("End")
    await expect(page.locator("#announcer")).to_contain_text(re.compile("expected, .* with 80 %"))
    await page.context.close()


async def test_too_little_history_is_said_instead_of_a_guess(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/forecast?unit=month&userId=fatou")
    await loaded(page)
    await expect(page.get_by_text("Not enough history", exact=True)).to_be_visible()
    await expect(page.locator(".uplot")).to_have_count(0)
    await page.context.close()


async def test_every_insight_shows_its_result_and_how_it_came_about(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights")
    for name, word in TABS.items():
        await page.goto(f"{desk.url}/dashboard/insights/{name}")
        await loaded(page)
        await expect(page.locator("main")).to_contain_text(word)
        await expect(page.locator(".evidence").first).to_contain_text("method, uncertainty, limits")
    await page.context.close()


async def test_an_anomaly_is_explained_and_called_none(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/anomalies?scope=total&measure=spend")
    await page.get_by_role("button", name="Why").click()
    await expect(page.get_by_role("dialog")).to_contain_text("What changed")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Not an anomaly").click()
    await expect(page.get_by_role("dialog").locator(".notice")).to_contain_text("Not an anomaly")
    anomalies = "/api/analytics/anomalies?scope=total&measure=spend"
    assert (await desk.gateway.get(anomalies)).data[0]["verdict"] is None, "a preview changes nothing"
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#said")).to_contain_text("kept")
    assert (await desk.gateway.get(anomalies)).data[0]["verdict"] == "not_an_anomaly"
    await page.context.close()


async def test_a_segment_is_declared_and_a_wrong_condition_explained(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/segments")
    await page.get_by_role("button", name="Declare a segment").click()
    await page.get_by_label("Name").fill("vip")
    conditions = page.get_by_label("Conditions")
    await conditions.fill("credits is high")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("alert")).to_contain_text("“credits is high” is no condition")
    await conditions.fill("credits >= 100.5")
    await page.get_by_role("button", name="Preview").click()
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.get_by_role("row", name=re.compile("^vip"))).to_contain_text("credits >= 100.5")
    await page.context.close()


async def test_the_past_at_another_margin_is_priced_again_to_the_last_digit(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/what-if?tz=UTC&range=7d")
    await expect(page.get_by_text("Enter a margin, a price or a grant")).to_be_visible()
    await page.get_by_label("Margin %").fill("44")
    await page.get_by_role("button", name="Calculate").click()
    await expect(page).to_have_url(re.compile("w_margin=44"))
    await loaded(page)
    start = f"{datetime.now(UTC) - timedelta(days=6):%Y-%m-%d}"
    body = {
        "margins": [{"marginPercent": 44}],
        "startDate": start,
        "endDate": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}",
    }
    answer = (await desk.gateway.post("/api/analytics/what-if", body)).data
    row = page.get_by_role("row", name=re.compile("^Credits"))
    for side in ("before", "after"):
        await expect(row).to_contain_text(f"{answer[side]['credits']:,}")
    await page.context.close()


async def test_a_model_s_uses_are_priced_again_from_the_page_of_prices(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/prices?priced=gpt-4o&range=7d")
    await loaded(page)
    await page.get_by_label("Input, million tokens", exact=True).fill("5")
    await page.get_by_role("button", name="Calculate").click()
    await loaded(page)
    cost = page.get_by_role("row", name=re.compile("^Provider cost"))
    before, after = [
        Decimal(re.sub(r"[^0-9.]", "", await cost.locator("td").nth(place).inner_text())) for place in (1, 2)
    ]
    assert after > before > 0
    await page.context.close()


async def test_a_budget_is_declared_with_a_preview_and_shows_its_use(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/budgets")
    await page.get_by_role("button", name="New budget").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("all-cost")
    await dialog.get_by_label("Unit").select_option("cost_usd")
    await dialog.get_by_label("Amount").fill("250")
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator("ins", has_text="all-cost")).to_be_visible()
    assert [budget["name"] for budget in (await desk.gateway.get("/api/budgets")).data] == ["chat"]
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.get_by_role("row", name=re.compile("^all-cost"))).to_contain_text("/ $250")
    await page.context.close()


async def test_an_objective_is_declared_and_its_budget_shown(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/insights/operations")
    await loaded(page)
    await expect(page.get_by_role("row", name=re.compile("^chat-works"))).to_contain_text("99 % good in 30 days")
    await page.get_by_role("button", name="New objective").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("fast")
    await dialog.get_by_label("Measure").select_option("latency")
    await dialog.get_by_label("Milliseconds").fill("1500")
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator("ins", has_text="1500")).to_be_visible()
    assert [each["name"] for each in (await desk.gateway.get("/api/objectives")).data] == ["chat-works"]
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.get_by_role("row", name=re.compile("^fast"))).to_contain_text("99.9 % within 1,500 ms")
    await expect(page.get_by_role("region", name="Capacity")).to_contain_text("Size of the database")
    await page.context.close()


async def test_an_incident_shows_whom_it_hit_and_previews_what_is_given_back(desk: Desk) -> None:
    start, end = datetime.now(UTC) - timedelta(days=1, hours=1), datetime.now(UTC) - timedelta(hours=23)
    span = f"i_from={start:%Y-%m-%dT%H:%M:%SZ}&i_to={end:%Y-%m-%dT%H:%M:%SZ}"
    page = await desk.signed_in(f"/dashboard/insights/operations?{span}&i_rule=all&tz=UTC")
    await loaded(page)
    card = page.get_by_role("region", name="Incident", exact=True)
    await expect(card.get_by_role("row", name=re.compile("talk-0"))).to_be_visible()
    before = (await desk.gateway.get("/api/wallets/talk-0")).data["credits"]
    await card.get_by_role("button", name="Give back", exact=True).click()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("dialog").locator(".notice")).to_contain_text("Uses")
    assert (await desk.gateway.get("/api/wallets/talk-0")).data["credits"] == before, "a preview changes nothing"
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#said")).to_contain_text("were given back")
    assert (await desk.gateway.get("/api/wallets/talk-0")).data["credits"] > before
    await page.context.close()
