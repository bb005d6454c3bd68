"""The blocks of the page on insights do what the page says."""

import asyncio
from pathlib import Path

from support.docs import Page
from support.processes import command_path


async def test_the_forecast_of_an_empty_database_says_what_is_missing(database_url: str, tmp_path: Path) -> None:
    block = Page.of("docs/explanation/insights.md").block("python", title="forecast.py")
    said = await asyncio.to_thread(block.run, cwd=tmp_path, FAREGATE_DATABASE_URL=database_url)

    assert said == ("enough: False\nnot enough history: 0 days since the first use; a forecast of 14 needs 42\n")


async def test_the_objectives_of_the_page_are_declared_and_listed(database_url: str, tmp_path: Path) -> None:
    block = Page.of("docs/explanation/insights.md").block("bash")
    said = await asyncio.to_thread(block.run, cwd=tmp_path, FAREGATE_DATABASE_URL=database_url, PATH=command_path())

    assert said.splitlines()[:2] == ["up: 99.9 % of 30 days", "chat-quick: 95 % of 28 days"]
    assert "chat-quick" in said.split("Objectives")[1]
