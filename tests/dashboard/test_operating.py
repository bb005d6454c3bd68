"""Pages of operators in a real browser: every change is shown first, asked for once, and told afterwards."""

import re
from decimal import Decimal
from importlib.resources import files

from playwright.async_api import Page, Route, expect

from support.apps import KEY
from support.browsing import Desk, loaded

LISTS = (
    "wallets", "organizations", "organizations/acme", "holds", "plans", "quotas", "alerts", "dead-letters", "webhooks", "audit?action=keys.*",
)  # fmt: skip


async def agreed(page: Page, shown: str | re.Pattern[str]) -> None:
    """Look at the preview of the open dialog, and agree."""
    await expect(page.get_by_role("dialog").locator(".notice")).to_contain_text(shown)
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#said")).to_be_visible()


async def test_every_list_of_operators_loads_within_the_width_of_a_phone(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets", viewport={"width": 320, "height": 700})
    for name in LISTS:
        await page.goto(f"{desk.url}/dashboard/{name}")
        await loaded(page)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    await page.context.close()


async def test_a_key_is_made_with_a_preview_shown_once_and_revoked(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/keys")
    await page.get_by_role("button", name="New API key").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("desk key")
    await dialog.get_by_label("usage:read").check()
    await dialog.get_by_label("Spend cap in credits").fill("12.5")
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator(".notice")).to_contain_text("analytics:read, usage:read")
    assert "desk key" not in {key["name"] for key in (await desk.gateway.get("/api/keys")).data}
    await agreed(page, "12.5")
    await expect(dialog.locator("pre")).to_contain_text("fg_live_")
    await page.keyboard.press("Escape")

    row = page.get_by_role("row", name=re.compile("desk key"))
    await row.get_by_role("button", name="Revoke").click()
    await agreed(page, "desk key")
    await expect(page.locator("#said")).to_contain_text("Revoked the key desk key")
    await expect(row).to_contain_text("Revoked")
    (made,) = [key for key in (await desk.gateway.get("/api/keys")).data if key["name"] == "desk key"]
    assert (made["spend_caps"][0]["credits"], made["revoked_at"] is None) == (Decimal("12.5"), False)
    await page.context.close()


async def test_a_webhook_is_changed_with_its_difference_and_its_deliveries_are_seen(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/webhooks")
    await page.get_by_role("button", name="Edit").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("hold.expired").check()
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator("ins")).to_contain_text("hold.expired")
    await agreed(page, "hold.expired")
    assert "hold.expired" in (await desk.gateway.get("/api/webhooks")).data[0]["events"]
    await page.get_by_role("link", name="Show").first.click()
    await loaded(page)
    await expect(page.locator("h1")).to_have_text("Deliveries")
    await page.context.close()


async def test_a_hold_is_voided_after_the_credits_it_sets_free_were_shown(desk: Desk) -> None:
    await desk.gateway.grant("hana", 10)
    await desk.gateway.start("hana", "ai_chat_v1", usage_key="hana-1", estimated_credits=3)
    page = await desk.signed_in("/dashboard/holds?user=hana")
    row = page.get_by_role("row", name=re.compile("hana-1"))
    await row.get_by_role("button", name="Void").click()
    await page.get_by_label("Reason").fill("abandoned")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("dialog").locator(".notice")).to_contain_text("10")
    assert (await desk.gateway.get("/api/wallets/hana")).data["held"] == 3, "a preview changes nothing"
    await agreed(page, "10")
    await expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()
    assert (await desk.gateway.get("/api/wallets/hana")).data["held"] == 0
    await page.context.close()


async def test_limits_quotas_and_members_are_set_with_a_difference(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets/bela")
    await page.get_by_role("button", name="Change limits").click()
    await page.get_by_label("Hard").fill("33.5")
    await page.get_by_role("button", name="Preview").click()
    await agreed(page, "33.5")
    assert [limit["hard"] for limit in (await desk.gateway.get("/api/wallets/bela/limits")).data] == [Decimal("33.5")]

    await page.goto(f"{desk.url}/dashboard/quotas")
    await page.get_by_role("button", name="New quota").click()
    await page.get_by_role("dialog").get_by_label("Owner").fill("bela")
    await page.get_by_label("Limit", exact=True).fill("77")
    await page.get_by_role("button", name="Preview").click()
    await agreed(page, "77")
    row = page.get_by_role("row", name=re.compile("^bela"))
    await expect(row).to_contain_text("/ 77")

    await page.goto(f"{desk.url}/dashboard/organizations/acme")
    await page.get_by_role("button", name="Add members").click()
    await page.get_by_label("Members to add").fill("ines, jo")
    await page.get_by_role("button", name="Preview").click()
    await agreed(page, "ines")
    assert {"ines", "jo"} <= set((await desk.gateway.get("/api/organizations/acme")).data["members"])
    await page.context.close()


async def test_a_price_is_overridden_from_a_day_of_the_page_s_zone(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/prices?priced=in-house-7b&tz=Asia/Kolkata")
    await page.get_by_role("button", name="New price").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Prices as JSON").fill('{"input_mtok": 0.25, "output_mtok": 0.75}')
    await dialog.get_by_label("Valid from (Asia/Kolkata)").fill("2027-02-01T00:00:00")
    await dialog.get_by_role("button", name="Preview").click()
    await agreed(page, "0.75")
    newest = (await desk.gateway.get("/api/prices")).data[-1]
    assert (newest["effective_from"], newest["prices"]["input_mtok"]) == ("2027-01-31T18:30:00Z", Decimal("0.25"))
    await expect(page.get_by_role("row", name=re.compile("in-house-7b.*Later"))).to_be_visible()
    await page.context.close()


async def test_the_zone_is_shown_and_chosen_on_every_page_and_a_wrong_one_is_refused(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/dead-letters?tz=UTC")
    await loaded(page)
    zone = page.get_by_label("Times of this page are in")
    await expect(zone).to_have_value("UTC")
    before = await page.locator("tbody td").first.inner_text()
    await zone.fill("Mars/Olympus")
    await zone.press("Enter")
    await expect(page).to_have_url(re.compile("tz=UTC"))
    await zone.fill("Asia/Kolkata")
    await zone.press("Enter")
    await expect(page).to_have_url(re.compile("tz=Asia%2FKolkata"))
    await loaded(page)
    assert await page.locator("tbody td").first.inner_text() != before
    await page.context.close()


async def test_numbers_and_times_are_in_the_reader_s_locale(desk: Desk) -> None:
    context = await desk.browser.new_context(locale="de-DE", timezone_id="Europe/Berlin")
    page = await desk.watched(context)
    await page.goto(f"{desk.url}/dashboard/wallets/ada")
    await page.get_by_label("Server API key or token").fill(KEY)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    free = (await desk.gateway.get("/api/wallets/ada")).data["credits"]
    shown = await page.locator("[data-free]").inner_text()
    assert Decimal(shown.replace(".", "").replace(",", ".")) == free
    assert "," in shown
    desk.problems.clear()
    await context.close()


async def test_a_card_that_fails_says_so_with_its_request_and_tries_again(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets")
    await loaded(page)

    async def refuse(route: Route) -> None:
        answer = '{"success": false, "error": {"code": "unavailable", "detail": "The database is away"}}'
        headers = {"x-request-id": "0123-request"}
        await route.fulfill(status=503, body=answer, content_type="application/json", headers=headers)

    await page.route("**/api/wallets/ada/grants", refuse)
    await page.get_by_role("link", name="ada", exact=True).click()
    problem = page.get_by_role("alert")
    await expect(problem).to_contain_text("The database is away")
    await expect(problem).to_contain_text("0123-request")
    await expect(page.locator("[data-free]")).to_be_visible()
    await page.unroute("**/api/wallets/ada/grants")
    await problem.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("region", name=re.compile("Grants"))).to_be_visible()
    desk.problems.clear()
    await page.context.close()


async def test_a_wall_clock_is_the_moment_that_the_zone_means_around_clock_changes(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets?tz=Europe/Berlin")
    script = "import('/dashboard/assets/moments.js').then((m) => %s.map((text) => m.utc(text)))"
    found = await page.evaluate(script % '["2026-03-29T01:59:59", "2026-03-29T03:00:00", "2026-10-25T02:30:00"]')
    assert found == ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z"]
    back = await page.evaluate("import('/dashboard/assets/moments.js').then((m) => m.local('2026-07-01T22:00:00Z'))")
    assert back == "2026-07-02T00:00:00"
    await page.context.close()


async def test_an_open_form_with_its_preview_has_no_serious_barrier(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/keys", bypass_csp=True)
    await page.get_by_role("button", name="New API key").click()
    await page.get_by_label("Name").fill("never made")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("dialog").locator(".notice")).to_be_focused()
    await page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    violations = await page.evaluate("axe.run('dialog').then((result) => result.violations)")
    assert [each["id"] for each in violations if each["impact"] in {"serious", "critical"}] == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="New API key")).to_be_focused()
    await page.context.close()
