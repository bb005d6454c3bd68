"""`faregate chaos`: settle while everything dies, and have the result judged. Works from a checkout only."""

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
        Parameter(help="About a minute, a few minutes, or 1,000 crashes and 200,000 messages."),
    ] = "short",
    seed: Annotated[int, Parameter(help="All randomness follows from it.")] = 1,
    report: Annotated[Path | None, Parameter(help="Write <report>.md and <report>.json.")] = None,
) -> int:
    """Kill workers, publishers, gateway, PostgreSQL and RabbitMQ at named points while messages are settled.

    Real servers of its own, on private ports, with private data. Exit 1 if anything was lost, doubled or left over, if
    time ran out before the form's targets were reached, or if one of the workers that are broken on purpose (the
    smallest form has none) was not caught.
    """
    from faregate.core.settings import environment_without_settings

    tests = _tests()
    arguments = ["--form", form, "--seed", str(seed)]
    arguments += ["--report", str(report.resolve())] if report is not None else []
    environment = {**environment_without_settings(), "PYTHONPATH": str(tests)}
    return subprocess.run([sys.executable, "-m", "faults", *arguments], env=environment, check=False).returncode  # noqa: S603


def _tests() -> Path:
    """Return the directory that holds the fault tests, which are no part of the distribution."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "tests" / "faults" / "__main__.py").exists():
            return root / "tests"
    raise ConfigurationError(
        "the fault tests are not installed with Faregate; run `faregate chaos` in a checkout of its repository, "
        "after `make install`"
    )
