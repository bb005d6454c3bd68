"""`make fuzz`: schemathesis over the whole OpenAPI document of a private gateway, stateful links included.

Usage: python tests/fuzz/run.py [examples per operation]. Ends with the number of cases, and 1 if anything was found.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from faregate.cli.stack import Stack, private_stack

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth"
)
ENVIRONMENT = {"FAREGATE_RATE_LIMIT_KEY": "0", "FAREGATE_RATE_LIMIT_REFUSED": "0", "FAREGATE_LOG_LEVEL": "error"}


def fuzz(stack: Stack, directory: Path, *, examples: int, more: tuple[str, ...] = ()) -> tuple[int, int]:
    """Run schemathesis; return its exit code and how many cases it sent."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.url}/openapi.json",
        "-H", f"x-server-api-key: {stack.key}", "--checks", CHECKS, "--max-examples", str(examples),
        "--continue-on-failure",
        "--request-timeout", "20", "--no-color", "--suppress-health-check", "all", "--warnings", "off", *more,
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("hooks.py"))}
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        said = [line for line in run.stdout if print(line, end="") is None]
    found = re.search(r"([\d,]+) generated", "".join(said))
    return run.returncode, int(found[1].replace(",", "")) if found else 0


async def main(examples: int) -> int:
    with tempfile.TemporaryDirectory(prefix="faregate-fuzz-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        async with private_stack(directory / "data", environment=ENVIRONMENT) as stack:
            code, cases = await asyncio.to_thread(fuzz, stack, directory, examples=examples)
    print(f"{cases:,} cases, {'nothing found' if code == 0 else 'see above'}")
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1200)))
