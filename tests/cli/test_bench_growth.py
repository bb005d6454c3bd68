"""A short run of the growth benchmark; no cost is checked."""

from faregate.benchmarks.ground import private_ground
from faregate.benchmarks.growth import measure_growth
from faregate.credit.proof.verify import Verifier


async def test_costs_are_measured_in_growing_tables_whose_ledger_verifies() -> None:
    told: list[int] = []
    async with private_ground(wallets=0) as small, private_ground(wallets=0) as ground:
        found = await measure_growth(small, ground, [2_000, 8_000], wallets=50, block=40, on_progress=told.append)
        verified = await Verifier(ground.library.database()).verify()

    assert [grown.drifts for grown in found] == [0, 0]
    assert 0 < found[0].rows <= 2_000 < found[1].rows <= 8_000
    assert told[-1] == found[1].rows
    assert all(min(g.settlement.processor, g.settlement.clock, g.event.processor, g.event.clock) > 0 for g in found)
    assert found[1].partitions >= 10
    assert verified.drifts == ()
