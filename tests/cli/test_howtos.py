"""Code blocks of the pages on features and prices."""

import asyncio
from pathlib import Path

import pytest

from support.docs import Page
from support.processes import command_path

PAGES = [
    "docs/howto/add-a-feature.md",
    "docs/howto/price-a-model.md",
    "docs/explanation/charging-rules.md",
    "docs/howto/connect-bi-tools.md",
    "docs/howto/serve-many-tenants.md",
    "docs/howto/close-a-month.md",
    "docs/howto/check-provider-bills.md",
    "docs/howto/export-focus.md",
]


@pytest.mark.parametrize("page", PAGES)
async def test_every_code_block_of_the_page_runs(page: str, database_url: str, tmp_path: Path) -> None:
    for block in Page.of(page).blocks():
        if block.title is not None:
            block.save(tmp_path)
        if block.language in {"bash", "python"}:
            run = asyncio.to_thread(
                block.run, cwd=tmp_path, timeout=600, FAREGATE_DATABASE_URL=database_url, PATH=command_path()
            )
            assert await run
