"""The how-to pages of the dashboard and of the customers' page: their commands run, their pictures exist."""

import asyncio
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from faregate.core.settings import load_settings
from faregate.wire import exact_json
from support.apps import KEY
from support.browsing import Desk
from support.docs import ROOT, Page

DASHBOARD = Page.of("docs/howto/read-the-dashboard.md")
PORTAL = Page.of("docs/howto/embed-the-customer-page.md")


async def test_the_commands_of_the_dashboard_page_run(desk: Desk, tmp_path: Path) -> None:
    sign_in, link, export, preview, stream = DASHBOARD.blocks("bash")
    signed_in = await asyncio.to_thread(sign_in.run, URL=desk.url, KEY=KEY)
    linked = exact_json.loads((await asyncio.to_thread(link.run, URL=desk.url, KEY=KEY)).encode())["data"]
    await asyncio.to_thread(export.run, cwd=tmp_path, URL=desk.url, KEY=KEY)
    before = (await desk.gateway.get("/api/wallets/ada")).data["credits"]
    shown = exact_json.loads((await asyncio.to_thread(preview.run, URL=desk.url, KEY=KEY)).encode())["data"]
    sent = await asyncio.to_thread(stream.run, URL=desk.url, KEY=KEY)

    assert exact_json.loads(signed_in.encode())["data"]["id"] == "bootstrap"
    assert linked["url"].startswith(f"{desk.url}/dashboard#fgs_")
    openpyxl: Any = import_module("openpyxl")
    assert openpyxl.load_workbook(tmp_path / "models.xlsx")["rows"]["A1"].value == "model"
    assert (shown["credits"], (await desk.gateway.get("/api/wallets/ada")).data["credits"]) == (before + 5, before)
    assert "event: usage" in sent


async def test_the_command_of_the_customers_page_makes_a_link_and_a_frame(desk: Desk) -> None:
    made = exact_json.loads((await asyncio.to_thread(PORTAL.block("bash").run, URL=desk.url, KEY=KEY)).encode())["data"]

    assert made["url"].startswith(f"{desk.url}/portal/{made['id']}#fgp_")
    assert made["frame"].startswith("<iframe")


@pytest.mark.parametrize("page", [DASHBOARD, PORTAL])
def test_every_setting_of_a_page_is_accepted_and_every_picture_exists(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in page.blocks("ini"):
        for line in block.text.splitlines():
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)
    assert {*load_settings().model_fields_set} >= {name.lower() for name in ("public_url",) if page is DASHBOARD}
    assert load_settings().portal_title == ("Acme credits" if page is PORTAL else "Credits")
    pictures = re.findall(r"\]\((\.\./images/[^)]+)\)", page.text)
    assert pictures
    assert [picture for picture in pictures if not (ROOT / "docs/howto" / picture).exists()] == []
