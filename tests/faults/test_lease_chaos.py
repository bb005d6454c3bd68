"""Short fault test of leases: clients and gateways are killed, and the ledger is judged."""

from pathlib import Path

from faults.lease_roles import CLIENT_POINTS
from faults.leases import LeasePlan, run_campaign


async def test_killed_clients_and_gateways_overspend_nothing_and_each_use_is_charged_once(
    database_url: str, tmp_path: Path
) -> None:
    """`make chaos-leases` runs the long form, with each of the client's points many times."""
    verdict = await run_campaign(LeasePlan(seed=5, client_kills=4, gateway_kills=1, users=2), database_url, tmp_path)

    assert not verdict.faults, verdict.lines()
    assert verdict.decided > 10
    assert {name.removeprefix("lease client: ") for name in verdict.struck} & CLIENT_POINTS.keys()
