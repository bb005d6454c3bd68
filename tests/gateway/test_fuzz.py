"""A short form of `make fuzz`: schemathesis over the whole document, a few cases for each call."""

import asyncio
import re
from pathlib import Path

import pytest
from fuzz.run import ENVIRONMENT, Fuzzed, fuzz, shared_out, together

from faregate.cli.demo.stack import private_stack
from support.apps import Gateway


async def test_no_case_violates_the_contract(tmp_path: Path) -> None:
    more = ("--phases", "examples,fuzzing,stateful", "--max-time", "6", "--generation-deterministic")
    async with private_stack(tmp_path / "data", environment=ENVIRONMENT) as stack:
        fuzzed = await asyncio.to_thread(fuzz, stack, tmp_path, examples=3, more=more)

    assert (fuzzed.code, fuzzed.findings) == (0, 0)
    assert fuzzed.cases > 20  # how many it tries in its six seconds depends on what runs beside it


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (Fuzzed(code=0, cases=50_000, calls=97, findings=0, seed=1, seconds=9), 0),
        (Fuzzed(code=0, cases=49_999, calls=97, findings=0, seed=1, seconds=9), 1),
        (Fuzzed(code=1, cases=50_000, calls=97, findings=1, seed=1, seconds=9), 1),
        (Fuzzed(code=1, cases=0, calls=0, findings=0, seed=0, seconds=0), 1),
    ],
)
def test_the_long_form_fails_for_findings_and_for_too_few_cases(run: Fuzzed, verdict: int) -> None:
    assert run.verdict(cases_min=50_000) == verdict
    assert f"{run.cases:,} cases" in run.summary(cases_min=50_000)
    assert ("fewer than" in run.summary(cases_min=50_000)) == (run.cases < 50_000)


@pytest.mark.parametrize("parts", [1, 2, 3, 50])
async def test_each_operation_is_in_one_part_of_the_long_form(gateway: Gateway, parts: int) -> None:
    """For any number of processors; calls of one resource are in the same part, so that their links can be followed."""
    document = (await gateway.http.get("/openapi.json")).json()
    patterns = shared_out(document, parts)

    assert len(patterns) <= parts
    assert {path: sum(bool(re.search(pattern, path)) for pattern in patterns) for path in document["paths"]} == (
        dict.fromkeys(document["paths"], 1)
    )


def test_the_parts_together_are_the_whole_run() -> None:
    parts = [Fuzzed(0, 30_000, 50, 0, 7, 90), Fuzzed(1, 20_000, 47, 2, 7, 100)]

    assert together(parts, Fuzzed(0, 1_000, 97, 1, 7, 50)) == Fuzzed(1, 51_000, 97, 3, 7, 100)
