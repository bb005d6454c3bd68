"""The dashboard in a real browser: from a number to its transfers, changes with a preview, keyboard, colours, phone."""

import re
from decimal import Decimal
from importlib.resources import files

import pytest
from playwright.async_api import expect

from support.browsing import Desk, loaded
from support.people import token

PAGES = [
    "overview",
    "uses/use-3",
    "wallets/ada",
    "explore?then=feature",
    "features",
    "prices?priced=gpt-4o",
    "audit?action=session.*",
    "system",
    "insights/forecast",
    "insights/anomalies?scope=total",
    "keys",
]
"""A page of each kind."""


def plain(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.-]", "", text))


async def test_a_wrong_key_is_refused_in_words_and_a_right_one_opens_the_page_that_was_asked_for(desk: Desk) -> None:
    page = await desk.page()
    await page.goto(f"{desk.url}/dashboard/wallets/ada")
    await page.get_by_label("Server API key or token").fill("fg_live_wrong")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("unknown")
    desk.problems.clear()
    await page.context.close()

    page = await desk.signed_in("/dashboard/wallets/ada")
    await expect(page.locator("h1")).to_have_text("ada")
    assert await page.evaluate("document.cookie") == ""
    await page.context.close()


async def test_signing_out_everywhere_ends_the_other_windows_too(desk: Desk) -> None:
    one, other = [await desk.page() for _ in range(2)]
    for page in (one, other):
        await page.goto(f"{desk.url}/dashboard/explore")
        await page.get_by_label("Server API key or token").fill(token("olga", role="analyst"))
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await loaded(page)
    await one.get_by_role("button", name="Sign out everywhere").click()
    await expect(one.get_by_label("Server API key or token")).to_be_visible()
    await other.get_by_role("link", name="Overview").first.click()

    await expect(other.get_by_role("alert")).to_contain_text("session has ended")
    for page in (one, other):
        await page.context.close()
    desk.problems.clear()  # the calls under way when the session ended were refused


async def test_each_number_of_the_overview_is_the_api_s_to_the_last_digit(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/overview?range=7d&tz=Asia/Kolkata&live=0")
    await loaded(page)
    address = await page.evaluate(
        "performance.getEntriesByType('resource').map((e) => e.name).find((n) => n.includes('/explore'))"
    )
    query = address.partition("?")[2]
    totals = (await desk.gateway.get(f"/api/analytics/explore?{query}")).data["totals"]

    for name in ("chargedCredits", "totalCredits", "marginCredits", "totalRequests", "totalTokens", "uniqueUsers"):
        shown = await page.locator(f"[data-total={name}]").inner_text()
        assert plain(shown.removesuffix("credits")) == totals[name], name
    await page.context.close()


async def test_from_a_number_to_its_transfers_in_three_clicks(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/overview?range=today&live=0")
    await loaded(page)
    await page.locator("a.tile").first.click()
    await loaded(page)
    await page.locator("tfoot a").first.click()
    await loaded(page)
    await page.locator("tbody a.mono", has_text="use-3").click()
    await loaded(page)

    transfers = page.get_by_role("region", name="Transfers")
    await expect(transfers).to_contain_text("charge")
    await transfers.get_by_role("button", name="Show").click()
    await expect(transfers).to_contain_text("bonus")
    story = (await desk.gateway.get("/api/credits-process/use-3")).data
    await expect(transfers).to_contain_text(str(story["transactions"][0]["amount"]))
    await page.context.close()


async def test_a_bar_opens_its_hours_by_mouse_and_by_keyboard(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?range=7d")
    await loaded(page)
    chart = page.locator(".chart")
    await chart.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator("#announcer")).to_contain_text("2026")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("unit=hour"))
    await loaded(page)
    box = await page.locator(".u-over").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(page).to_have_url(re.compile("unit=quarter-hour"))
    await page.go_back()
    await expect(page).to_have_url(re.compile("unit=hour"))
    await page.context.close()


async def test_a_new_event_reaches_the_open_page_and_a_paused_one_stays(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/overview?range=today")
    await loaded(page)
    tile = page.locator("[data-total=totalRequests]")
    before = plain(await tile.inner_text())
    event = {"user_id": "ada", "service": "chat", "kind": "request", "status": 200}
    assert (await desk.gateway.post("/api/usage-events", event)).data["accepted"] == 1
    await expect(tile).to_have_text(f"{before + 1:,}")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    await page.context.close()


async def test_a_grant_is_shown_before_it_is_made_and_made_once(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets/carla")
    await loaded(page)
    free = plain(await page.locator("[data-free]").inner_text())
    await page.get_by_role("button", name="Grant credits").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("credits").fill("7.000001")
    await dialog.get_by_label("Reason").fill("goodwill")
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator(".notice")).to_contain_text(f"{free + Decimal('7.000001')}")
    assert (await desk.gateway.get("/api/wallets/carla")).data["credits"] == free, "a preview changes nothing"
    await dialog.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("[data-free]")).to_have_text(f"{free + Decimal('7.000001')}")
    entry = (await desk.gateway.get("/api/audit?action=wallets.add_grant&owner_id=carla&limit=1")).data[0]
    assert entry["actor"] == "bootstrap"
    await page.context.close()


async def test_a_dead_letter_is_read_and_replayed(desk: Desk) -> None:
    outbox = desk.gateway.container.outbox()
    sql = """insert into faregate.message (message_id, queue, body, dead_at, dead_reason)
      values (gen_random_uuid(), 'usage_events_queue', '{"note": "hello"}', now(), 'not an event')"""
    async with desk.gateway.database.transaction() as session:
        await desk.gateway.database.rows(session, sql)
    assert outbox is not None
    page = await desk.signed_in("/dashboard/dead-letters")
    row = page.get_by_role("row", name=re.compile("not an event"))
    await row.get_by_role("button", name="Read").click()
    await expect(page.get_by_role("dialog")).to_contain_text("hello")
    await page.keyboard.press("Escape")
    await row.get_by_role("button", name="Replay", exact=True).click()
    await expect(page.get_by_role("dialog").locator(".notice")).to_contain_text("Still there")
    await page.get_by_role("button", name="Yes, do it").click()

    await expect(page.locator("#said")).to_contain_text("1 dead letters were put back")
    await expect(row).to_have_count(0)
    await page.context.close()


async def test_a_feature_is_edited_with_its_difference(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/features")
    row = page.get_by_role("row", name=re.compile("^paper"))
    await row.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    document = dialog.get_by_label("Document as JSON")
    await document.fill((await document.input_value()).replace('"credits": 5', '"credits": 6.5'))
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.locator("ins")).to_contain_text("6.5")
    await dialog.get_by_role("button", name="Yes, do it").click()
    await expect(dialog).to_have_count(0)
    assert (await desk.gateway.get("/api/features/paper")).data["parameters"] == {"credits": Decimal("6.5")}
    await page.context.close()


async def test_a_view_is_saved_and_opened_again_with_its_whole_state(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?by=user&of=tokens&range=7d&tz=UTC&feature=ai_chat_v1")
    await page.get_by_role("button", name="Saved views").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name of the view").fill("Chat by user")
    await dialog.get_by_role("button", name="Save this view").click()
    await expect(dialog.get_by_role("link", name="Chat by user")).to_be_visible()
    await page.goto(f"{desk.url}/dashboard/explore")
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("link", name="Chat by user").click()

    for part in ("by=user", "of=tokens", "range=7d", "tz=UTC", "feature=ai_chat_v1"):
        await expect(page).to_have_url(re.compile(re.escape(part)))
    await page.context.close()


async def test_a_table_is_exported_as_it_is_shown(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?by=model&range=7d&tz=UTC")
    await loaded(page)
    async with page.expect_download() as found:
        await page.get_by_role("button", name="CSV").first.click()
    text = (await (await found.value).path()).read_text()
    address = await page.evaluate(
        "performance.getEntriesByType('resource').map((e) => e.name).find((n) => n.includes('/explore'))"
    )
    slices = (await desk.gateway.get(f"/api/analytics/explore?{address.partition('?')[2]}")).data["slices"]

    rows = [line.split(",") for line in text.splitlines()[1:]]
    shown = [("(others or none)" if each["isRest"] else each["value"], each["credits"]) for each in slices]
    assert [(row[0], Decimal(row[6])) for row in rows] == shown
    await page.context.close()


async def test_every_page_can_be_reached_and_used_by_keyboard_alone(desk: Desk) -> None:
    page = await desk.signed_in()
    await page.goto(f"{desk.url}/dashboard/explore?range=7d")
    await loaded(page)
    seen: set[str] = set()
    for _ in range(60):
        await page.keyboard.press("Tab")
        seen.add(
            await page.evaluate(
                "(document.activeElement.innerText || document.activeElement.ariaLabel || document.activeElement.className).trim().split('\\n')[0]"
            )
        )
    wanted = {
        "Skip to the content",
        "Overview",
        "Explore",
        "Wallets",
        "Sign out",
        "Saved views",
        "Copy as curl",
        "Export",
        "+ Filter",
    }
    assert wanted <= seen
    assert any(each.startswith("Chart.") for each in seen)
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_barrier_or_an_error(desk: Desk, scheme: str) -> None:
    """axe-core on each page in light colours, and on the ones that are read on the way in dark ones, at 320 px."""
    phone = {"width": 320, "height": 700}
    page = await desk.signed_in(
        color_scheme=scheme, viewport=phone if scheme == "dark" else {"width": 1280, "height": 800}, bypass_csp=True
    )
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text()
    found: list[str] = []
    for name in PAGES if scheme == "light" else PAGES[:3]:
        await page.goto(f"{desk.url}/dashboard/{name}")
        await loaded(page)
        await page.evaluate(axe)
        violations = await page.evaluate("axe.run().then((result) => result.violations)")
        found += [
            f"{name}: {v['id']} {v['nodes'][0]['target']}" for v in violations if v["impact"] in {"serious", "critical"}
        ]
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found += [f"{name}: {wide} px wider than the screen"] if wide > 0 else []
    assert found == []
    await page.context.close()


async def test_the_pages_keep_a_strict_policy_and_the_first_view_is_small(desk: Desk) -> None:
    import httpx2

    page = await desk.signed_in()
    await loaded(page)
    names = await page.evaluate(
        "performance.getEntriesByType('resource').map((e) => e.name).filter((n) => n.includes('/assets/'))"
    )
    async with httpx2.AsyncClient(headers={"accept-encoding": "gzip"}) as http:
        answers = [await http.get(f"{desk.url}/dashboard"), *[await http.get(name) for name in sorted(set(names))]]
    sizes = [int(answer.headers["content-length"]) for answer in answers]
    policy = answers[0].headers["content-security-policy"]

    assert sum(sizes) <= 60_000, dict(zip(names, sizes, strict=False))
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    await page.context.close()


async def test_a_customer_opens_a_link_and_sees_each_use_explained(desk: Desk) -> None:
    made = (
        await desk.gateway.post("/api/portal/links", {"user_id": "bela", "allowed_origins": ["http://127.0.0.1:1"]})
    ).data
    page = await desk.page(viewport={"width": 390, "height": 800})
    await page.goto(made["url"].replace("http://gateway", desk.url))
    await loaded(page)
    wallet = (await desk.gateway.get("/api/wallets/bela")).data
    assert plain(await page.locator("[data-own=free]").inner_text()) == wallet["credits"]
    await page.get_by_role("button", name="Explain").first.click()
    await expect(page.get_by_role("region", name="What was used")).to_contain_text("gpt-4o")
    await page.get_by_label("By").select_option("model")
    await expect(page.get_by_role("region", name="model")).to_contain_text("gpt-4o")
    await page.reload()
    await expect(page.locator("[data-own=free]")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await page.context.close()


async def test_a_link_that_has_ended_says_so(desk: Desk) -> None:
    page = await desk.page()
    await page.goto(f"{desk.url}/portal/0123#fgp_{'0' * 24}_{'a' * 43}")
    await expect(page.locator("main")).to_contain_text("expired or was revoked")
    desk.problems.clear()
    await page.context.close()
