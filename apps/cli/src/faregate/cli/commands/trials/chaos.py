"""`faregate chaos`: fault tests of settlement. Works in a checkout only."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from faregate.core.errors import ConfigurationError

__all__ = ["chaos"]


def chaos(
    *,
    form: Annotated[
        Literal["smallest", "short", "full"],
        Parameter(help="smallest: about a minute; short: a few minutes; full: 1,000 crashes and 200,000 messages."),
    ] = "short",
    seed: Annotated[int, Parameter(help="Seed of all random choices.")] = 1,
    report: Annotated[Path | None, Parameter(help="Write the results to <report>.md and <report>.json.")] = None,
) -> int:
    """Kill workers, publishers, gateway, PostgreSQL and RabbitMQ at named points while messages are settled.

    Starts its own real servers, on private ports with private data. Exit 1 if any message was lost, settled twice or left
    over, if time ran out before the targets of the form were reached, or if a worker with a deliberate defect (the
    smallest form has none) was not detected.
    """
    from faregate.core.settings import environment_without_settings

    tests = _tests()
    arguments = ["--form", form, "--seed", str(seed)]
    arguments += ["--report", str(report.resolve())] if report is not None else []
    environment = {**environment_without_settings(), "PYTHONPATH": str(tests)}
    return subprocess.run([sys.executable, "-m", "faults", *arguments], env=environment, check=False).returncode  # noqa: S603


def _tests() -> Path:
    """Return the directory that holds the fault tests, which are not part of the distribution."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "tests" / "faults" / "__main__.py").exists():
            return root / "tests"
    raise ConfigurationError(
        "the fault tests are not installed with Faregate; run `faregate chaos` in a checkout of its repository, "
        "after `make install`"
    )
