"""`make fuzz`: schemathesis over the whole OpenAPI document of a private gateway, stateful links included.

Usage: python tests/fuzz/run.py [examples per operation] [seed]. Ends with a summary, and 1 if anything was found. Without
a number it is the long form, which also ends with 1 if fewer than 50,000 cases were sent.

Making up cases takes longer than answering them, so that the operations are shared out among as many processes as there
are processors, each with a gateway of its own; one more follows the links between all operations.
"""

import asyncio
import heapq
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2

from faregate.cli.demo.stack import Stack, private_stack

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


def shared_out(document: Mapping[str, Any], parts: int) -> Sequence[str]:
    """Return for each part a pattern of its paths: those of one resource together, as many operations in each as can be."""
    sizes: Counter[str] = Counter()
    for path, operations in document["paths"].items():
        sizes["/".join(path.split("/")[:3])] += len(operations)
    heap: list[tuple[int, int, list[str]]] = [(0, number, []) for number in range(parts)]
    for resource, size in sizes.most_common():
        total, number, resources = heapq.heappop(heap)
        heapq.heappush(heap, (total + size, number, [*resources, resource]))
    return [f"^({'|'.join(map(re.escape, resources))})(/|$)" for _, _, resources in heap if resources]


async def part(directory: Path, *more: str, examples: int) -> Fuzzed:
    """Fuzz a gateway of its own."""
    directory.mkdir()
    async with private_stack(directory / "data", environment=ENVIRONMENT) as stack:
        return await asyncio.to_thread(fuzz, stack, directory, examples=examples, more=(*UNPOLISHED, *more))


async def described(directory: Path) -> Mapping[str, Any]:
    """Return the document of the gateway."""
    async with private_stack(directory / "data", environment=ENVIRONMENT) as stack, httpx2.AsyncClient() as client:
        answer = await client.get(f"{stack.url}/openapi.json")
        document: Mapping[str, Any] = json.loads(answer.content)
        return document


def together(parts: Sequence[Fuzzed], links: Fuzzed) -> Fuzzed:
    """Return a run of several processes as one."""
    runs = [*parts, links]
    return Fuzzed(
        code=max(run.code for run in runs),
        cases=sum(run.cases for run in runs),
        calls=sum(run.calls for run in parts),
        findings=sum(run.findings for run in runs),
        seed=links.seed,
        seconds=max(run.seconds for run in runs),
    )


async def main(examples: int | None, seed: str) -> int:
    cases_min = LONG_CASES if examples is None else 0
    with tempfile.TemporaryDirectory(prefix="faregate-fuzz-", ignore_cleanup_errors=True) as name:
        directory, number = Path(name), examples or LONG_EXAMPLES
        patterns = shared_out(await described(directory), os.cpu_count() or 1)
        *parts, links = await asyncio.gather(
            *(
                part(
                    directory / f"part{place}",
                    *("--include-path-regex", pattern, "--phases", "examples,coverage,fuzzing", "--seed", seed),
                    examples=number,
                )
                for place, pattern in enumerate(patterns)
            ),
            part(directory / "links", "--phases", "stateful", "--seed", seed, examples=number),
        )
    fuzzed = together(parts, links)
    print(fuzzed.summary(cases_min=cases_min))
    return fuzzed.verdict(cases_min=cases_min)


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else None
    chosen = sys.argv[2] if len(sys.argv) > 2 else str(secrets.randbits(64))
    sys.exit(asyncio.run(main(int(asked) if asked else None, chosen)))
