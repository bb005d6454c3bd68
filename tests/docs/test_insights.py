"""The blocks of the page on insights do what the page says."""

import asyncio
import shlex
from pathlib import Path

from support.apps import open_gateway, settings_for
from support.docs import Page
from support.processes import run_command


async def test_the_forecast_of_an_empty_database_says_what_is_missing(database_url: str, tmp_path: Path) -> None:
    block = Page.of("docs/explanation/insights.md").block("python", title="forecast.py")
    said = await asyncio.to_thread(block.run, cwd=tmp_path, FAREGATE_DATABASE_URL=database_url)

    assert said == ("enough: False\nnot enough history: 0 days since the first use; a forecast of 14 needs 42\n")


async def test_the_commands_of_the_page_price_again_and_declare_a_budget(database_url: str) -> None:
    what_if, budget = (shlex.split(block.text)[1:] for block in Page.of("docs/explanation/insights.md").blocks("bash"))
    async with open_gateway(settings_for(database_url)) as gateway:
        for key in ("ai_chat_v1", "essay"):
            await gateway.feature(key, strategy="token_priced")
        await gateway.put("/api/plans/small", {"name": "Small"})
        usage = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
        assert (await gateway.end("ada", "essay", usages=[usage])).status == 200

    priced = await run_command(*what_if, "-o", "csv", FAREGATE_DATABASE_URL=database_url)
    declared = await run_command(*budget, FAREGATE_DATABASE_URL=database_url)

    assert priced.code == 0, priced.err
    assert priced.out.splitlines()[1].startswith("essay,0.42,0.364,"), "the margin of 30 %, at the new prices"
    assert (declared.code, declared.out) == (0, "chat: 10000 credits each month\n"), declared.err
