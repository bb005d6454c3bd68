"""The blocks of the page on metering do what the page says."""

import asyncio
from pathlib import Path

from faregate.core.db.database import Database
from support.docs import Page


async def test_what_the_buffered_recorder_took_is_there_when_its_block_is_left(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    block = Page.of("docs/explanation/metering.md").block("python", title="buffered.py")
    said = await asyncio.to_thread(block.run, cwd=tmp_path, FAREGATE_DATABASE_URL=database_url)

    async with database.transaction(read_only=True) as session:
        (found,) = await database.rows(
            session, "select count(*) as n, sum(quantity) as total from faregate.usage_event"
        )
    assert said == "taken: True, dropped: 0\n"
    assert (found.n, found.total) == (2, 4)
    assert list((tmp_path / "spool").glob("*")) == []  # nothing had to be spooled
