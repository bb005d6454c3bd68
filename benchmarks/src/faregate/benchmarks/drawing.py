"""Size and drawing time of the dashboard."""

import gzip
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.async_api import Page, Route, async_playwright

from faregate.gateway.dashboard.pages import asset

__all__ = ["Drawing", "first_view", "measure_drawing"]

_IMPORT = re.compile(r'^import .* from "\./([\w.]+)";$', re.MULTILINE)
_START = ("index.html", "app.css", "uplot.css", "uplot.js", "icon.svg", "app.js", "page_overview.js")
_KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html"}
_DRAW = """async (count) => {
  const { seriesChart } = await import("/assets/charts.js");
  const start = Date.UTC(2026, 0, 1);
  const periods = Array.from({ length: count }, (_, place) => new Date(start + place * 60000).toISOString());
  const values = periods.map((_, place) => String(100 + 50 * Math.sin(place / 900) + (place * 7919) % 13));
  const began = performance.now();
  const series = [{ label: "all", values }];
  document.body.append(seriesChart({ periods, unit: "hour", of: "requests", series, totals: values, lines: true }));
  while (!document.querySelector("canvas")) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The best of several drawings of `points` points in Chromium."""

    points: int
    milliseconds: float


def first_view() -> dict[str, int]:
    """Return the files that the overview loads, with their sizes in bytes after gzip."""
    names, waiting = set[str](), list(_START)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += _IMPORT.findall(_text(name)) if name.endswith(".js") and name != "uplot.js" else []
    return {name: len(gzip.compress(_text(name).encode(), 9)) for name in sorted(names)}


async def measure_drawing(chromium: str, *, points: int, rounds: int) -> Drawing:
    """Draw a series of `points` points in the browser `chromium`, up to the frame that shows it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        times = [await _drawn(await browser.new_page(), points) for _ in range(rounds)]
        await browser.close()
    return Drawing(points, min(times))


async def _drawn(page: Page, points: int) -> float:
    await page.route("**/*", _serve)
    await page.goto("http://bench.invalid/")
    milliseconds: float = await page.evaluate(_DRAW, points)
    await page.close()
    return milliseconds


async def _serve(route: Route) -> None:
    name = urlsplit(route.request.url).path.rpartition("/")[2]
    if not name:
        body = '<!doctype html><link rel="stylesheet" href="/assets/app.css"><script src="/assets/uplot.js"></script>'
        await route.fulfill(body=body, content_type="text/html")
        return
    await route.fulfill(body=_text(name), content_type=_KINDS[name.rpartition(".")[2]])


def _text(name: str) -> str:
    return asset(name).decode()
