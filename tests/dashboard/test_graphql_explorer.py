"""The GraphQL explorer in a browser: it asks with the session of the dashboard, completes and describes, and loads nothing else."""

import json
from importlib.resources import files

import pytest
from playwright.async_api import expect

from support.apps import KEY
from support.browsing import Desk


async def test_the_explorer_asks_with_the_session_of_the_dashboard_and_shows_the_price(desk: Desk) -> None:
    await desk.signed_in()
    page = await desk.page(storage_state={"cookies": desk.cookies})
    await page.goto(f"{desk.url}/graphql/explorer")
    await expect(page.get_by_text("signed in by the dashboard")).to_be_visible()
    await page.get_by_label("Example").select_option(label="Latest uses")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_role("status")).to_contain_text("200 · ")

    found = json.loads(await page.locator("#answer").inner_text())
    assert len(found["data"]["usage"]["items"]) == 10
    assert "16 of 5000 points" in await page.get_by_role("status").inner_text()
    await page.context.close()


async def test_the_explorer_completes_and_describes_with_a_key(desk: Desk) -> None:
    page = await desk.page()
    await page.goto(f"{desk.url}/graphql/explorer")
    await expect(page.locator("body[data-ready=true]")).to_be_visible()
    desk.problems.clear()  # the browser reports that nobody is signed in
    await page.get_by_label("API key or token").fill(KEY)
    await page.get_by_label("API key or token").press("Tab")
    await expect(page.get_by_role("button", name="analytics", exact=True)).to_be_visible()
    query, offered = page.locator("#query"), page.locator("#completions li")
    await query.fill("{ usage(limit: 3) { items { wall")
    await query.press("Control+Space")
    await expect(offered).to_have_count(1)
    await query.press("Enter")
    await query.press_sequentially(" { cre")
    await query.press("Control+Space")
    await expect(offered).to_have_text(["creditsDecimal!", "creditLimitDecimal!"])
    await query.press("Enter")
    await query.press_sequentially(" } } } }")
    await query.press("Control+Enter")
    await expect(page.get_by_role("status")).to_contain_text("200 · ")
    assert len(json.loads(await page.locator("#answer").inner_text())["data"]["usage"]["items"]) == 3

    await page.get_by_role("button", name="UsePage").click()
    await expect(page.get_by_role("heading", name="UsePage")).to_be_visible()
    await query.fill("{ usage(")
    await query.press("Control+Space")
    await expect(offered.first).to_contain_text("userId")
    await query.fill("{ no }")
    await query.press("Control+Enter")
    await expect(page.get_by_role("status")).to_contain_text("400 · ")
    desk.problems.clear()  # the browser reports the refused request
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_explorer_has_no_serious_barrier_and_fits_a_phone(desk: Desk, scheme: str) -> None:
    await desk.signed_in()
    page = await desk.page(
        storage_state={"cookies": desk.cookies},
        color_scheme=scheme,
        viewport={"width": 320, "height": 700},
        bypass_csp=True,
    )
    await page.goto(f"{desk.url}/graphql/explorer")
    await expect(page.locator("body[data-ready=true]")).to_be_visible()
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_role("status")).to_contain_text("200 · ")
    await page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    violations = await page.evaluate("axe.run().then((result) => result.violations)")

    assert [f"{v['id']} {v['nodes'][0]['target']}" for v in violations if v["impact"] in {"serious", "critical"}] == []
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await page.context.close()
