"""A short run of the benchmark of leases: each case is timed; no figure is checked."""

import pytest

from faregate.benchmarks.lease_pace import CASES, measure_lease


@pytest.mark.parametrize("case", sorted(CASES))
async def test_local_decisions_are_timed_while_uses_are_reported(case: str) -> None:
    pace = await measure_lease(case, uses=200)

    assert (pace.case, pace.uses) == (case, 200)
    assert 0 < pace.p50_us <= pace.p99_us <= pace.worst_us
