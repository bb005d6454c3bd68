"""Short trials on clusters: a node of RabbitMQ and the primary of a PostgreSQL are lost during settlement.

Debian's packages and root are needed; `faregate chaos --cluster all` runs the long form with all faults and the control.
"""

import os
from pathlib import Path

import pytest

from faults.cluster.__main__ import missing
from support.processes import run_command


@pytest.mark.parametrize(
    ("cluster", "fault"),
    [("rabbitmq", "leader's node killed"), ("postgresql", "primary's machine killed")],
)
async def test_nothing_acknowledged_is_lost_and_all_is_back_in_time(cluster: str, fault: str, tmp_path: Path) -> None:
    problem = missing(cluster)
    if problem is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(problem)
    done = await run_command("chaos", "--cluster", cluster, "--only", fault, "--report", str(tmp_path / "report"))

    assert done.code == 0, done.out + done.err
    assert f"## {cluster}: clean" in done.out
    assert "**late**" not in done.out
