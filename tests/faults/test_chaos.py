"""Short fault tests of settlement, and of the judge.

Messages of killed processes are settled once, and workers with a deliberate defect are detected.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faregate.core.runtime.failpoints import POINTS, arm
from faults.campaign import Campaign
from faults.controls import CONTROLS
from faults.engines import Engines
from faults.plans import Outcome, Plan, Target
from faults.report import as_markdown
from faults.strikes import GATEWAY_STRIKES, PUBLISHER_STRIKES, WORKER_STRIKES
from support.processes import run_command
from support.rabbitmq import require_rabbitmq


@pytest.fixture(scope="module")
async def engines() -> AsyncIterator[Engines]:
    require_rabbitmq()
    with tempfile.TemporaryDirectory(prefix="fg-chaos-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        engines = Engines(Path(directory))
        try:
            await engines.open()
            yield engines
        finally:
            await engines.close()


async def test_every_message_is_settled_once_although_processes_and_servers_are_killed(tmp_path: Path) -> None:
    """Runs the smallest form of `faregate chaos`: each kind of strike once, faults of the servers, and a report."""
    require_rabbitmq()
    done = await run_command("chaos", "--form", "smallest", "--seed", "7", "--report", str(tmp_path / "smallest"))
    assert done.code == 0, done.out + done.err

    run = json.loads((tmp_path / "smallest.json").read_text())["run"]
    targets = {what: each["wanted"] for what, each in run["targets"].items() if each["wanted"]}
    assert targets == {
        "messages": 1200,
        "processes killed at failpoints": 13,
        "crashes of PostgreSQL": 1,
        "kills of RabbitMQ": 1,
        "mishaps of network, peers and locks": 2,
    }
    assert all(each["reached"] >= each["wanted"] for each in run["targets"].values())
    assert "**Clean**" in done.out
    assert (tmp_path / "smallest.md").read_text() in done.out


def test_a_campaign_that_runs_out_of_time_is_not_clean() -> None:
    targets = {"messages": Target(200_000, 200_400), "processes killed at failpoints": Target(1000, 940)}
    plan = Plan(seed=7, messages=200_000, crashes=1000)
    outcome = Outcome(plan, targets, {"messages": 200_400, "keys": 1}, {}, {}, 940, {"faults": 1, "healing": 1}, {}, {})
    report = as_markdown(outcome, [])

    assert not outcome.clean
    assert "**NOT CLEAN**" in report
    assert "| processes killed at failpoints | 1,000 | 940 |" in report
    assert "| targets not reached | 1 |" in report


@pytest.mark.parametrize("control", sorted(CONTROLS))
async def test_a_worker_with_a_deliberate_defect_is_detected(engines: Engines, control: str) -> None:
    name = f"control_{control.split(maxsplit=1)[0]}"
    plan = Plan(
        seed=4, messages=800, crashes=5, fault_seconds=60, control=control, hurry=True, heal_seconds=60, name=name
    )
    outcome = await Campaign(plan, engines, say=print).run()

    assert {"keys lost", "charges that nobody asked for"} & outcome.faults.keys()
    assert "wallets with another total" in outcome.faults


def test_every_failpoint_has_a_strike() -> None:
    assert {strike.point for strike in (*WORKER_STRIKES, *PUBLISHER_STRIKES, *GATEWAY_STRIKES)} == set(POINTS)


def test_an_unknown_failpoint_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match="unknown failpoints"):
        arm(["nowhere"], print)
