"""One gateway with believable usage and one browser for all tests of the dashboard."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.apps import settings_for
from support.believable import fill
from support.browsing import Desk, chromium, open_browser, open_desk
from support.operated import KEPT_DAYS, operate
from support.people import SECRET
from support.servers import address, execute, require_program


@pytest.fixture(scope="session")
async def desk(server_url: str, template: str) -> AsyncIterator[Desk]:
    require_program(chromium() or "chromium", package="chromium-headless-shell")
    await execute(server_url, f"create database dashboard template {template} strategy file_copy")
    settings = settings_for(address(server_url, "dashboard"), port=0, jwt_secret=SECRET, late_event_days=KEPT_DAYS)
    async with open_browser() as browser, open_desk(settings, browser) as desk:
        await fill(desk.gateway, days=20, per_day=20)
        await operate(desk.gateway, users=55, days=50)
        yield desk
    await execute(server_url, "drop database dashboard with (force)")


@pytest.fixture(autouse=True)
def _no_complaints(desk: Desk) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """No page writes an error to the console, or asks another server."""
    desk.problems.clear()
    yield
    assert desk.problems == []
