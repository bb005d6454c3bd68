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
    cluster: Annotated[
        Literal["rabbitmq", "postgresql", "fleet", "all"] | None,
        Parameter(
            help="Try a RabbitMQ cluster, a PostgreSQL with failover or many processes instead. Needs root, and Debian's packages."
        ),
    ] = None,
    only: Annotated[str | None, Parameter(help="With --cluster: only the faults whose name contains this.")] = None,
) -> int:
    """Kill workers, publishers, gateway, PostgreSQL and RabbitMQ at named points while messages are settled.

    Starts its own real servers, on private ports with private data. With `--cluster`, machines are killed, frozen and cut off
    instead: three nodes of RabbitMQ, or three servers with Patroni, each in a network namespace; and many gateways and workers
    are replaced under traffic. Exit 1 if any message was lost, settled twice or left over, if time ran out before the targets
    of the form were reached, or if a deliberate defect was not detected: of a worker (the smallest form has none), a database
    that may lose commits, or a publisher without confirms.
    """
    from faregate.core.settings import environment_without_settings

    tests = _tests()
    module = ["faults", "--form", form] if cluster is None else ["faults.cluster", cluster]
    module += ["--only", only] if cluster is not None and only is not None else []
    arguments = ["--seed", str(seed), *(["--report", str(report.resolve())] if report is not None else [])]
    environment = {**environment_without_settings(), "PYTHONPATH": str(tests)}
    command = [sys.executable, "-m", *module, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _tests() -> Path:
    """Return the directory that holds the fault tests, which are not part of the distribution."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "tests" / "faults" / "__main__.py").exists():
            return root / "tests"
    raise ConfigurationError(
        "the fault tests are not installed with Faregate; run `faregate chaos` in a checkout of its repository, "
        "after `make install`"
    )
