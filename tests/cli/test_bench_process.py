"""Short runs of the benchmarks of the credits process.

They measure both sides and overspend nothing; no figure is checked.
"""

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import version

import pytest

from faregate.benchmarks.ground import Ground, broker_versions, machine, private_ground
from faregate.benchmarks.hot_wallet import measure_hot_wallet
from faregate.benchmarks.record_rate import measure_records
from faregate.benchmarks.settle_rate import measure_settlements
from faregate.benchmarks.start_rate import measure_starts
from faregate.credit.proof.verify import Verifier
from support.servers import require_program

WALLETS = 50


@pytest.fixture(scope="module")
async def ground() -> AsyncGenerator[Ground]:
    async with private_ground(wallets=WALLETS) as ground:
        yield ground


async def test_the_hot_wallet_settles_all_pairs_by_library_and_by_queue(ground: Ground) -> None:
    found = await measure_hot_wallet(ground, pairs=200, concurrency=50, on_progress=lambda _: None)
    (wallet, _) = await ground.library.wallets().get("bench-0")

    assert found.by_library > 0
    assert found.by_queue > 0
    assert wallet.held == 0
    assert wallet.balance == 10**6 - 401 * Decimal("0.0252")  # 200 of each kind, and one that waits for the worker


async def test_single_records_are_compared_with_one_transaction_each(ground: Ground) -> None:
    require_program("wrk", package="wrk")
    for found in await measure_records(ground, users=WALLETS, seconds=1, callers=8):
        assert found.ratio == found.gathered / found.one_by_one
        assert found.over_http > 0
    assert (await Verifier(ground.library.database()).verify()).drifts == ()


async def test_settlements_are_compared_with_one_transaction_each(ground: Ground) -> None:
    """Afterwards the ledger of this deployment holds rows written by pgbench, which do not verify."""
    found = await measure_settlements(
        ground, wallets=WALLETS, messages=3000, workers=1, on_progress=lambda *_: None, clients=(4,), seconds=1
    )

    assert found.ratio == found.ours / found.one_by_one
    assert found.half_load_p99_ms > 0
    assert (await Verifier(ground.library.database()).verify()).wallets == WALLETS


async def test_starts_are_compared_with_a_bare_endpoint(ground: Ground) -> None:
    require_program("wrk", package="wrk")
    found = await measure_starts(ground, users=WALLETS, seconds=1, connections=4, processes=1)

    assert found.ratio == found.ours.per_second / found.bare.per_second
    assert found.at_rate.p99_ms >= found.at_rate.p50_ms > 0


def test_the_machine_and_its_software_are_reported(ground: Ground) -> None:
    told = machine(ground)

    assert {"cpu", "system", "python", "postgresql", "faregate", "fsync"} == told.keys()
    assert told["fsync"].endswith("fdatasync/s")


async def test_the_versions_of_broker_and_client_are_reported(ground: Ground, broker_url: str) -> None:
    beside = replace(ground, settings=ground.settings.model_copy(update={"broker_url": broker_url}))
    told = await broker_versions(beside)

    assert await broker_versions(ground) == {}
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", told["rabbitmq"])
    assert told["aiormq"] == version("aiormq")
