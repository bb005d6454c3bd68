"""Short form of the campaign on many processes; `make fleet` has four gateways and workers, an older revision and a death in a job."""

from pathlib import Path

from faults.fleet import FleetPlan, run_fleet
from support.servers import address, execute


async def test_a_fleet_is_replaced_and_loses_redis_without_a_failed_call(server_url: str, tmp_path: Path) -> None:
    await execute(server_url, "create database fleet")
    try:
        plan = FleetPlan(gateways=2, workers=1, spenders=1, takes_over=False)
        verdict = await run_fleet(plan, address(server_url, "fleet"), tmp_path)
    finally:
        await execute(server_url, "drop database fleet with (force)")

    assert not verdict.faults, verdict.lines()
    assert verdict.facts["calls that failed"] == 0
    assert verdict.facts["gateways ready on a schema newer than their code, each replaced"] == "2 of 2"
