"""The judge of `faregate chaos` is not blind: a small campaign on servers of its own, with a worker that must be caught."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faregate.core.failpoints import POINTS, arm
from faults.campaign import Campaign, Plan
from faults.controls import CONTROLS
from faults.engines import Engines
from faults.strikes import GATEWAY_STRIKES, PUBLISHER_STRIKES, WORKER_STRIKES
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


@pytest.mark.parametrize("control", sorted(CONTROLS))
async def test_a_worker_that_is_broken_on_purpose_is_caught(engines: Engines, control: str) -> None:
    name = f"control_{control.split(maxsplit=1)[0]}"
    plan = Plan(
        seed=4, messages=800, crashes=5, fault_seconds=60, control=control, hurry=True, heal_seconds=60, name=name
    )
    outcome = await Campaign(plan, engines, say=print).run()

    assert {"keys lost", "charges that nobody asked for"} & outcome.faults.keys()
    assert "wallets with another total" in outcome.faults


def test_every_failpoint_is_struck() -> None:
    assert {strike.point for strike in (*WORKER_STRIKES, *PUBLISHER_STRIKES, *GATEWAY_STRIKES)} == set(POINTS)


def test_an_unknown_failpoint_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match="unknown failpoints"):
        arm(["nowhere"], print)
