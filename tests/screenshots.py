"""Pictures of the dashboard's pages: light and dark, desktop and phone.

`python tests/screenshots.py [--full] [page …]` writes them into build/screenshots, with `--full` down to the end of each page; those that the documentation shows are copied to docs/images.
"""

import asyncio
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Page, expect

from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import upgrade
from support.apps import running_worker, settings_for
from support.believable import fill
from support.browsing import Desk, loaded, open_browser, open_desk
from support.operated import KEPT_DAYS, operate

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
PAGES = {
    "sign-in": "", "portal": "", "overview": "/dashboard", "explore": "/dashboard/explore?by=model&then=feature", "uses": "/dashboard/uses",
    "use": "/dashboard/uses/use-3", "insights": "/dashboard/insights", "run-outs": "/dashboard/insights/run-outs",
    "anomalies": "/dashboard/insights/anomalies", "cohorts": "/dashboard/insights/cohorts", "churn": "/dashboard/insights/churn",
    "segments": "/dashboard/insights/segments", "upsell": "/dashboard/insights/upsell",
    "costs": "/dashboard/insights/costs", "what-if": "/dashboard/insights/what-if?w_margin=30", "budgets": "/dashboard/insights/budgets",
    "satisfaction": "/dashboard/insights/satisfaction",
    "operations": f"/dashboard/insights/operations?i_rule=all&i_from={YESTERDAY}T00:00:00Z&i_to={TODAY}T00:00:00Z", "wallets": "/dashboard/wallets",
    "wallet": "/dashboard/wallets/ada", "preview": "/dashboard/wallets/ada", "holds": "/dashboard/holds", "organizations": "/dashboard/organizations",
    "organization": "/dashboard/organizations/acme", "features": "/dashboard/features", "plans": "/dashboard/plans",
    "prices": "/dashboard/prices?priced=gpt-4o", "quotas": "/dashboard/quotas", "alerts": "/dashboard/alerts",
    "reports": "/dashboard/reports", "report": "/dashboard/reports/team",
    "dead-letters": "/dashboard/dead-letters", "audit": "/dashboard/audit", "keys": "/dashboard/keys", "webhooks": "/dashboard/webhooks",
    "system": "/dashboard/system", "not-found": "/dashboard/nowhere",
}  # fmt: skip
SIZES = {"desktop": {"width": 1360, "height": 980}, "phone": {"width": 390, "height": 844}}


ROOT = Path(__file__).parents[1]
SHOWN = ("overview", "explore", "wallet", "preview", "portal", "insights")
"""Pages whose light desktop picture is in the documentation."""


async def told(desk: Desk) -> None:
    """Wait until a worker has reported and a quota has raised an alert."""
    async with asyncio.timeout(60):
        while not (await desk.gateway.get("/api/alerts")).data or not (await desk.gateway.get("/api/system")).data["jobs"]:  # fmt: skip
            await asyncio.sleep(0.2)


async def rehearse(page: Page) -> None:
    """Open the preview of a grant."""
    await page.get_by_role("button", name="Grant credits").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("credits").fill("25")
    await dialog.get_by_label("Reason").fill("goodwill")
    await dialog.get_by_role("button", name="Preview").click()
    await dialog.locator(".notice").wait_for()


async def take(desk: Desk, directory: Path, wanted: list[str], *, full: bool) -> None:
    for theme in ("light", "dark"):
        for size, viewport in SIZES.items():
            page = await desk.page(color_scheme=theme, viewport=viewport)
            await page.goto(f"{desk.url}/dashboard")
            await page.get_by_role("button", name="Sign in", exact=True).wait_for()
            await page.screenshot(path=directory / f"sign-in-{theme}-{size}.png")
            await page.context.close()
            page = await desk.signed_in(color_scheme=theme, viewport=viewport)
            for name in wanted:
                if name in {"sign-in", "portal"}:
                    continue
                await page.goto(f"{desk.url}{PAGES[name]}")
                await loaded(page)
                if name == "preview":
                    await rehearse(page)
                await page.screenshot(path=directory / f"{name}-{theme}-{size}.png", full_page=full)
            if "portal" in wanted:
                made = (await desk.gateway.post("/api/portal/links", {"user_id": "ada"})).data
                await page.goto(made["url"].replace("http://gateway", desk.url))
                await page.locator("[data-own=free]").wait_for()
                await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
                await page.screenshot(path=directory / f"portal-{theme}-{size}.png")
            await page.context.close()


async def main(directory: Path, wanted: list[str], *, full: bool) -> None:
    for each in (directory, ROOT / "docs/images"):
        each.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        server = EmbeddedServer(Path(place) / "pg", durable=False)
        database = Database(await server.start())
        await database.open()
        await upgrade(database)
        await database.close()
        try:
            settings = settings_for(database.url, port=0, late_event_days=KEPT_DAYS)
            async with open_browser() as browser, open_desk(settings, browser) as desk:
                await fill(desk.gateway, days=62)
                await operate(desk.gateway)
                async with running_worker(settings):
                    await told(desk)
                    await take(desk, directory, wanted, full=full)
                for problem in desk.problems:
                    if "401" not in problem:  # before the sign-in
                        print(problem)
        finally:
            await server.stop()
    for name in SHOWN:
        if name in wanted:
            shutil.copy(directory / f"{name}-light-desktop.png", ROOT / f"docs/images/{name}-light-desktop.png")


if __name__ == "__main__":
    named = [each for each in sys.argv[1:] if each != "--full"]
    asyncio.run(main(ROOT / "build/screenshots", named or list(PAGES), full="--full" in sys.argv))
