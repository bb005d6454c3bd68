"""Short form of the campaign on many processes; `make fleet` has four gateways and workers, an older revision and a death in a job."""

from pathlib import Path

from faults.fleet import FleetPlan, run_fleet


async def test_a_fleet_is_replaced_and_loses_redis_without_a_failed_call(database_url: str, tmp_path: Path) -> None:
    plan = FleetPlan(gateways=2, workers=1, spenders=1, takes_over=False, pause_seconds=0.25)
    verdict = await run_fleet(plan, database_url, tmp_path)

    assert not verdict.faults, verdict.lines()
    assert verdict.facts["calls that failed"] == 0
    assert verdict.facts["gateways ready on a schema newer than their code, each replaced"] == "2 of 2"
