"""Contention (R2, short form): many connections on few wallets grant exactly what can be paid.

`faregate bench contention` is the long form.
"""

import pytest

from faregate.benchmarks.contention import contend
from faregate.benchmarks.naive import contend_naively
from faregate.core.db.database import Database


@pytest.mark.parametrize("wallets", [1, 10])
async def test_bound_is_exact_under_concurrent_operations(database: Database, wallets: int) -> None:
    """Starts, settlements, voids, expiries, refunds and repetitions; the free credits are sampled throughout; no deadlock."""
    played = await contend(database, wallets=wallets, attempts=4000, connections=16, seed=1)

    assert played.attempts >= 4000
    assert (played.granted, played.exact) == (played.bound, True)
    assert played.lowest_free_micros >= 0
    assert (played.deadlocks, played.drifts) == (0, 0)
    assert {"started", "settled", "settled again", "voided", "refunded", "refused: insufficient_credits"} <= set(
        played.counts
    )


async def test_reading_before_writing_overspends_without_a_lock(database: Database) -> None:
    """Control: reading the balance, deciding and then writing it grants more than can be paid."""
    assert await contend_naively(database, bound=20, attempts=400, connections=16) > 20
