"""A short form of `make fuzz`: schemathesis over the whole document, a few cases per call."""

import asyncio
from pathlib import Path

from fuzz.run import ENVIRONMENT, fuzz

from faregate.cli.stack import private_stack


async def test_no_case_breaks_the_contract(tmp_path: Path) -> None:
    more = ("--phases", "examples,fuzzing,stateful", "--max-time", "12", "--generation-deterministic")
    async with private_stack(tmp_path / "data", environment=ENVIRONMENT) as stack:
        code, cases = await asyncio.to_thread(fuzz, stack, tmp_path, examples=3, more=more)

    assert code == 0
    assert cases > 50
