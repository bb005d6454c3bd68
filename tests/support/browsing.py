"""A real browser on a gateway: Debian's Chromium, driven by Playwright."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from faregate.core.settings import Settings
from faregate.gateway.main import server_config
from support.apps import KEY, Gateway, open_gateway
from support.serving import serving

__all__ = ["Desk", "chromium", "loaded", "open_browser", "open_desk"]


def chromium() -> str | None:
    """Return the path of the browser, if it is installed: without windows it takes half of the processor time."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    return next(filter(None, map(shutil.which, names)), None)


async def loaded(page: Page) -> None:
    """Wait until the page behind the sign-in, or the customers' page, shows all that it asked for, and no error."""
    await page.locator("main:not(.sign-in):not([aria-busy=true])").wait_for()
    await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
    await expect(page.locator(".problem")).to_have_count(0)


@asynccontextmanager
async def open_browser() -> AsyncGenerator[Browser]:
    path = chromium()
    assert path is not None, "install Debian's package chromium-headless-shell"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        await browser.close()


@dataclass
class Desk:
    """A gateway on a socket, a browser, and everything that its pages complained about."""

    gateway: Gateway
    url: str
    browser: Browser
    problems: list[str] = field(default_factory=list[str])
    cookies: list[Any] = field(default_factory=list[Any])

    async def page(self, **options: Any) -> Page:
        context = await self.browser.new_context(locale="en-US", timezone_id="Europe/Berlin", **options)
        return await self.watched(context)

    async def watched(self, context: BrowserContext) -> Page:
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((self.url, "data:", "blob:")) else self.problems.append(request.url)
            ),
        )
        return page

    async def signed_in(self, path: str = "/dashboard", **options: Any) -> Page:
        """Sign in with the bootstrap key, as a person does, and open `path`; the first sign-in is kept for later pages."""
        if self.cookies:
            page = await self.page(storage_state={"cookies": self.cookies}, **options)
            await page.goto(f"{self.url}{path}")
            await page.locator("#nav").wait_for(state="attached")
            return page
        page = await self.page(**options)
        await page.goto(f"{self.url}{path}")
        await page.get_by_label("Server API key or token").fill(KEY)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.locator("#nav").wait_for(state="attached")
        self.problems[:] = [each for each in self.problems if "401" not in each]
        self.cookies = list(await page.context.cookies())
        return page


@asynccontextmanager
async def open_desk(settings: Settings, browser: Browser) -> AsyncGenerator[Desk]:
    """Serve a gateway on a socket, in this loop."""
    async with open_gateway(settings) as gateway:
        gateway.app.router.lifespan_context = lambda _app: nullcontext()
        async with serving(server_config(gateway.app, settings)) as url:
            yield Desk(gateway, url, browser)
            await asyncio.sleep(0)
