"""`make fuzz`: schemathesis over the whole OpenAPI document of a private gateway, stateful links included.

Usage: python tests/fuzz/run.py [examples per operation]. Ends with a summary, and 1 if anything was found. Without a
number it is the long form, which also ends with 1 if fewer than 50,000 cases were sent.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faregate.cli.stack import Stack, private_stack

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth"
)
ENVIRONMENT = {"FAREGATE_RATE_LIMIT_KEY": "0", "FAREGATE_RATE_LIMIT_REFUSED": "0", "FAREGATE_LOG_LEVEL": "error"}
LONG_EXAMPLES, LONG_CASES = 600, 50_000
UNPOLISHED = ("--generation-database", "none")
"""With a database of examples Hypothesis spends most of its time on polishing them. What is deterministic has none."""


@dataclass(frozen=True)
class Fuzzed:
    """What a run was, and what it found; `cases` are requests made up, `calls` the operations they were for."""

    code: int
    cases: int
    calls: int
    findings: int
    seed: int
    seconds: float

    def verdict(self, *, cases_min: int = 0) -> int:
        """Return the exit code: what is found, what broke off, and what was too short, is no success."""
        return 1 if self.code or self.findings or self.cases < cases_min else 0

    def summary(self, *, cases_min: int = 0) -> str:
        """Return the run in one paragraph, with what is needed to run it again."""
        short = f" (fewer than the {cases_min:,} of the long form)" if self.cases < cases_min else ""
        names = ("faregate", "schemathesis", "hypothesis", "starlette", "pydantic")
        return "\n".join(
            (
                f"{self.cases:,} cases{short} of {self.calls} calls, {self.findings} findings",
                f"seed {self.seed}, {self.seconds:,.0f} s, Python {sys.version.partition(' ')[0]}, "
                + ", ".join(f"{name} {version(name)}" for name in names),
            )
        )


def fuzz(stack: Stack, directory: Path, *, examples: int, more: tuple[str, ...] = UNPOLISHED) -> Fuzzed:
    """Run schemathesis, its output as it comes; return what came of it."""
    report = directory / "report.json"
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.url}/openapi.json",
        "-H", f"x-server-api-key: {stack.key}", "--checks", CHECKS, "--max-examples", str(examples),
        "--continue-on-failure", "--report-json-path", str(report),
        "--request-timeout", "20", "--no-color", "--suppress-health-check", "all", "--warnings", "off",
        *more,
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("hooks.py"))}
    run = subprocess.run(command, cwd=directory, env=environment, check=False)
    if not report.exists():
        return Fuzzed(run.returncode or 1, 0, 0, 0, 0, 0)
    return read_report(json.loads(report.read_text()), code=run.returncode)


def read_report(said: Any, *, code: int) -> Fuzzed:
    """Return what schemathesis wrote down of a run."""
    return Fuzzed(
        code=code,
        cases=said["test_cases"]["generated"],
        calls=said["operations"]["tested"],
        findings=said["test_cases"]["unique_failures"] + len(said["errors"]),
        seed=said["seed"],
        seconds=said["running_time"],
    )


async def main(examples: int | None) -> int:
    cases_min = LONG_CASES if examples is None else 0
    with tempfile.TemporaryDirectory(prefix="faregate-fuzz-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        async with private_stack(directory / "data", environment=ENVIRONMENT) as stack:
            fuzzed = await asyncio.to_thread(fuzz, stack, directory, examples=examples or LONG_EXAMPLES)
    print(fuzzed.summary(cases_min=cases_min))
    return fuzzed.verdict(cases_min=cases_min)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else None)))
