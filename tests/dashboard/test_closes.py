"""The page of closed months in a real browser."""

from decimal import Decimal

from playwright.async_api import expect

from support.browsing import Desk, loaded

BOUGHT_AT = "2026-01-05T00:00:00Z"


async def test_a_month_is_closed_after_a_preview_and_read_in_all_its_parts(desk: Desk) -> None:
    body = {"credits": 100, "source": "purchase", "effective_at": BOUGHT_AT, "key": "order-1"}
    granted = (await desk.gateway.post("/api/wallets/zoe/grants", body)).data["grant"]["id"]
    paid = {"paid_usd": Decimal("9.99"), "paid_at": BOUGHT_AT}
    assert (await desk.gateway.post(f"/api/wallets/zoe/grants/{granted}/payments", paid)).status == 201
    page = await desk.signed_in("/dashboard/closes", viewport={"width": 320, "height": 700})
    await page.get_by_role("button", name="Close a month").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Month", exact=True).fill("2026-01")
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator(".notice")).to_contain_text("$9.99")
    assert (await desk.gateway.get("/api/ledger/closes")).data == []
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#said")).to_contain_text(
        "Closed 2026-01 with 1 wallets that moved and a balance of 100."
    )
    await page.get_by_role("link", name="2026-01").click()
    await loaded(page)

    await expect(page.get_by_role("table", name="Paid value, USD")).to_contain_text("9.99")
    await expect(page.get_by_role("table", name="Wallets")).to_contain_text("zoe")
    await expect(page.get_by_role("table", name="Journal", exact=True)).to_contain_text("deferred_revenue")
    await expect(page.get_by_role("table", name="Journal in credits")).to_contain_text("credits_purchases")
    await expect(page.get_by_text("Nothing of an earlier month arrived late.")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await page.context.close()


async def test_a_month_that_is_not_closed_is_said_to_be_so(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/closes/2031-05")
    await expect(page.locator(".problem")).to_contain_text("'2031-05' is not closed")
    await expect(page.locator("main section.card")).to_have_count(1)
    assert len(desk.problems) == 1, "only the month itself was asked for, and the browser reports that"
    desk.problems.clear()
    await page.context.close()
