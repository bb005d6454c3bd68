"""The page of reports, and the mails as a browser draws them."""

import re
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from faregate.analytics.reports.content.browser import page_for_browser
from support.browsing import Desk, loaded

SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


async def agreed(page: Page) -> None:
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Preview").click()
    await dialog.get_by_role("button", name="Yes, do it").click()
    await dialog.wait_for(state="detached")


async def test_a_report_is_made_shown_tested_and_deleted(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/reports")
    await loaded(page)
    await page.get_by_role("button", name="New report").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("desk-weekly")
    await dialog.get_by_label("E-mails").fill("ops@example.com, boss@example.com")
    await dialog.get_by_label("Feature").fill("ai_chat_v1")
    await dialog.get_by_label("Day of the week").select_option("Friday")
    await dialog.get_by_label("xlsx").check()
    await agreed(page)
    made = (await desk.gateway.get("/api/reports/desk-weekly")).data
    assert (made["weekday"], made["files"], made["filters"]["feature"]) == (5, ["xlsx"], "ai_chat_v1")

    await page.get_by_role("link", name="desk-weekly").click()
    await loaded(page)
    mail = page.frame_locator("iframe")
    await expect(mail.get_by_role("heading", name="Weekly analytics")).to_be_visible()
    await expect(mail.get_by_text("all usage, feature ai_chat_v1")).to_be_visible()
    await page.get_by_role("button", name="Plain text of the mail").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Credits used")
    await page.keyboard.press("Escape")
    async with page.expect_download() as saved:
        await (
            page.get_by_role("group")
            .first.or_(page.locator(".actions"))
            .get_by_role("button", name="XLSX")
            .first.click()
        )
    assert (await saved.value).suggested_filename.startswith("weekly-")

    await page.get_by_role("button", name="Send a test").click()
    await dialog.get_by_label("To").fill("me@example.com")
    await agreed(page)
    await expect(page.get_by_role("row", name=re.compile("me@example.com"))).to_contain_text("waiting")

    await page.goto(f"{desk.url}/dashboard/reports")
    row = page.get_by_role("row", name=re.compile("desk-weekly"))
    await row.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Yes, do it").click()
    await row.wait_for(state="detached")
    assert (await desk.gateway.get("/api/reports/desk-weekly")).status == 404
    await page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_mail_is_readable_in_light_and_dark_and_on_a_phone(
    desk: Desk, scheme: Literal["light", "dark"]
) -> None:
    """Contrast as axe measures it, no sideways scrolling at 320 pixels, and a chart with all its bars."""
    _, report = await desk.gateway.container.report_service().preview("team")
    page = await desk.page(color_scheme=scheme, viewport={"width": 320, "height": 700})
    await page.set_content(page_for_browser(report))
    chart: Any = await page.evaluate(
        "(() => { const i = document.images[0]; return [i.complete, i.naturalWidth, i.getBoundingClientRect().width, i.alt]; })()"
    )
    overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    found = await Axe().run(
        page, options={"runOnly": ["color-contrast", "image-alt", "document-title", "html-has-lang"]}
    )

    assert (chart[0], chart[1]) == (True, 1104)
    assert 200 < chart[2] <= 320
    assert chart[3].startswith("Credits per day. The most were")
    assert overflow <= 0
    assert ground == {"light": "rgb(242, 244, 248)", "dark": "rgb(16, 20, 28)"}[scheme]
    assert found.response["violations"] == []
    await page.context.close()
