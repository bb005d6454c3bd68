"""Pictures of the dashboard's pages: light and dark, desktop and phone.

`python tests/screenshots.py [page …]` writes them into build/screenshots; those that the documentation shows are copied to docs/images.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import expect

from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import upgrade
from support.apps import settings_for
from support.believable import fill
from support.browsing import Desk, open_browser, open_desk

PAGES = {
    "sign-in": "", "portal": "", "overview": "/dashboard", "explore": "/dashboard/explore?by=model&then=feature", "uses": "/dashboard/uses",
    "use": "/dashboard/uses/use-3", "wallets": "/dashboard/wallets", "wallet": "/dashboard/wallets/ada", "holds": "/dashboard/holds",
    "organization": "/dashboard/organizations/acme", "features": "/dashboard/features", "plans": "/dashboard/plans",
    "prices": "/dashboard/prices?priced=gpt-4o", "quotas": "/dashboard/quotas", "dead-letters": "/dashboard/dead-letters",
    "audit": "/dashboard/audit", "keys": "/dashboard/keys", "webhooks": "/dashboard/webhooks", "system": "/dashboard/system",
}  # fmt: skip
SIZES = {"desktop": {"width": 1360, "height": 980}, "phone": {"width": 390, "height": 844}}


ROOT = Path(__file__).parents[1]
SHOWN = ("overview", "explore", "wallet", "portal")
"""Pages whose light desktop picture is in the documentation."""


async def take(desk: Desk, directory: Path, wanted: list[str]) -> None:
    for theme in ("light", "dark"):
        for size, viewport in SIZES.items():
            page = await desk.signed_in(color_scheme=theme, viewport=viewport)
            for name in wanted:
                if name in {"sign-in", "portal"}:
                    continue
                await page.goto(f"{desk.url}{PAGES[name]}")
                await page.locator("main h1").wait_for()
                await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
                await page.screenshot(path=directory / f"{name}-{theme}-{size}.png")
            if "portal" in wanted:
                made = (await desk.gateway.post("/api/portal/links", {"user_id": "ada"})).data
                await page.goto(made["url"].replace("http://gateway", desk.url))
                await page.locator("[data-own=free]").wait_for()
                await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
                await page.screenshot(path=directory / f"portal-{theme}-{size}.png")
            await page.context.close()


async def main(directory: Path, wanted: list[str]) -> None:
    for each in (directory, ROOT / "docs/images"):
        each.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        server = EmbeddedServer(Path(place) / "pg", durable=False)
        database = Database(await server.start())
        await database.open()
        await upgrade(database)
        await database.close()
        try:
            async with (
                open_browser() as browser,
                open_desk(settings_for(database.url, port=0, late_event_days=90), browser) as desk,
            ):
                await fill(desk.gateway, days=62)
                await take(desk, directory, wanted)
                for problem in desk.problems:
                    print(problem)
        finally:
            await server.stop()
    for name in SHOWN:
        if name in wanted:
            shutil.copy(directory / f"{name}-light-desktop.png", ROOT / f"docs/images/{name}-light-desktop.png")


if __name__ == "__main__":
    asyncio.run(main(ROOT / "build/screenshots", sys.argv[1:] or list(PAGES)))
