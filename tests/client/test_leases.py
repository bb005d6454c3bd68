"""Leases of the client against a real gateway: decided locally, charged once, returned."""

import asyncio
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client.conftest import Line

from faregate.client import (
    CreditsClient,
    FakeCredits,
    HoldClosedError,
    InsufficientCreditsError,
    InvalidError,
    KeyConflictError,
    Lease,
    Retry,
    SyncFakeCredits,
    UnavailableError,
)
from support.apps import KEY, Gateway


async def _wallet(gateway: Gateway) -> tuple[Decimal, Decimal]:
    data = (await gateway.get("/api/wallets/ada")).data
    return data["balance"], data["held"]


async def _charged(gateway: Gateway, key: str) -> tuple[Decimal, list[str]]:
    charge = (await gateway.get(f"/api/credits-process/{key}")).data
    return charge["credits_charged"], charge["flags"]


async def _until_reported(lease: Lease) -> None:
    async with asyncio.timeout(5):
        while lease.unreported:
            await asyncio.sleep(0.005)


async def test_uses_are_charged_from_the_block_and_the_rest_returns(credits: CreditsClient, gateway: Gateway) -> None:
    async with credits.lease("paper", user="ada", credits=6) as lease:
        assert await _wallet(gateway) == (10, 6)
        first = lease.use(Decimal("1.5"))
        lease.use(2, key="two")
        assert lease.credits == Decimal("2.5")
        with pytest.raises(InsufficientCreditsError) as refusal:
            lease.use(3)
        assert (refusal.value.balance, refusal.value.required) == (Decimal("2.5"), 3)
        with pytest.raises(InvalidError, match="a key of its own"):
            lease.use(1, key=lease.lease_id)

    assert await _wallet(gateway) == (Decimal("6.5"), 0)
    assert await _charged(gateway, first) == (Decimal("1.5"), [])
    assert await _charged(gateway, "two") == (2, [])


async def test_a_key_is_charged_once_however_often_it_is_used(credits: CreditsClient, gateway: Gateway) -> None:
    async with credits.lease("paper", user="ada", credits=6) as lease:
        lease.use(2, key="again")
        lease.use(2, key="again")
        await lease.report()
        lease.use(2, key="again")
        with pytest.raises(KeyConflictError, match="take a new key"):
            lease.use(3, key="again")
    async with credits.lease("paper", user="ada", credits=4) as lease:
        lease.use(2, key="again")

    assert await _wallet(gateway) == (8, 0)


async def test_the_block_is_topped_up_in_the_background_before_it_runs_out(
    credits: CreditsClient, gateway: Gateway
) -> None:
    async with credits.lease("paper", user="ada", credits=2, report_seconds=0.01) as lease:
        for _ in range(8):
            lease.use(1)
            await _until_reported(lease)
            async with asyncio.timeout(5):
                while lease.credits < 1:
                    await lease.renew()

    assert await _wallet(gateway) == (2, 0)


async def test_a_top_up_takes_no_more_than_is_free(credits: CreditsClient, gateway: Gateway) -> None:
    async with credits.lease("paper", user="ada", credits=6) as lease:
        lease.use(6)
        assert await lease.renew() == 4
        lease.use(4)
        assert await lease.renew() == 0
        with pytest.raises(InsufficientCreditsError):
            lease.use(Decimal("0.000001"))

    assert await _wallet(gateway) == (0, 0)


async def test_two_leases_of_one_wallet_never_get_more_than_it_has(credits: CreditsClient, gateway: Gateway) -> None:
    used = Decimal(0)
    async with (
        credits.lease("paper", user="ada", credits=3, report_seconds=0.01) as one,
        credits.lease("paper", user="ada", credits=3, report_seconds=0.01) as two,
    ):
        for turn in range(100):
            lease = (one, two)[turn % 2]
            try:
                lease.use(Decimal("0.3"))
                used += Decimal("0.3")
            except InsufficientCreditsError:
                await lease.renew()

    assert Decimal(9) < used <= 10
    assert await _wallet(gateway) == (10 - used, 0)


async def test_a_lost_answer_to_a_report_charges_nothing_twice(
    credits: CreditsClient, gateway: Gateway, line: Line
) -> None:
    async with credits.lease("paper", user="ada", credits=6) as lease:
        lease.use(2)
        line.failures[:] = ["unanswered"]
        await lease.report()
        assert lease.credits == 4

    assert line.calls("/report") == 2
    assert await _wallet(gateway) == (8, 0)


async def test_while_the_gateway_is_away_uses_go_on_and_are_charged_afterwards(
    credits: CreditsClient, gateway: Gateway, line: Line
) -> None:
    async with credits.lease("paper", user="ada", credits=6) as lease:
        line.cut = True
        lease.use(2, key="offline")
        with pytest.raises(UnavailableError):
            await lease.report()
    line.cut = False
    async with asyncio.timeout(5):
        while not await credits.drain():
            await asyncio.sleep(0.01)

    assert await _charged(gateway, "offline") == (2, [])
    assert await _wallet(gateway) == (8, 4), "the rest of the block returns at its expiry"


async def test_a_lease_decides_nothing_after_its_end(credits: CreditsClient, gateway: Gateway, line: Line) -> None:
    lease = credits.lease("paper", user="ada", credits=6, ttl_seconds=1, report_seconds=0.25)
    async with lease:
        lease.use(1)
        line.cut = True
        block = lease._opened()
        block.renewed(6_000_000, until=time.monotonic())
        with pytest.raises(HoldClosedError, match="take a new one"):
            lease.use(1)
        line.cut = False
    with pytest.raises(InvalidError, match="async with"):
        lease.use(1)


async def test_the_background_renews_a_lease_when_half_of_its_time_has_passed(
    credits: CreditsClient, gateway: Gateway, line: Line
) -> None:
    async with credits.lease("paper", user="ada", credits=6, report_seconds=0.01) as lease:
        first = (await gateway.get(f"/api/leases/{lease.lease_id}")).data["expires_at"]
        lease._renew_at = time.monotonic()
        async with asyncio.timeout(5):
            while not line.calls("/renew"):
                await asyncio.sleep(0.005)
        await lease.report()  # waits for the call that is under way
        assert time.monotonic() + 29 < lease._renew_at
        assert (await gateway.get(f"/api/leases/{lease.lease_id}")).data["expires_at"] > first


CRASH = """
import asyncio, os, sys
from pathlib import Path
from faregate.client import CreditsClient
from faregate.client.leases.block import LeaseBlock
from faregate.client.leases.journal import LeaseJournal
journal = LeaseJournal(Path(sys.argv[1]) / "leases", sys.argv[2])
block = LeaseBlock(sys.argv[2], journal)
block.renewed(6_000_000, until=float("inf"))
block.use("reported", 1_000_000)
block.use("lost", 2_000_000)
block.reported([("reported", 1_000_000)], held=5_000_000)
os._exit(9)
"""


@pytest.fixture
async def crashed(gateway: Gateway, tmp_path: Path) -> tuple[str, Path]:
    """A lease whose process used 3 credits, reported 1 of them, and was killed."""
    spool = tmp_path / "crashed"
    body = {"user_id": "ada", "feature_endpoint_id": "paper", "credits": 6, "lease_id": "lost-lease", "ttl_seconds": 60}
    assert (await gateway.post("/api/leases", body)).status == 201
    uses = [{"usage_key": "reported", "credits": 1}]
    assert (await gateway.post("/api/leases/lost-lease/report", {"uses": uses})).status == 200
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", CRASH, str(spool), "lost-lease"], check=False, env=dict(os.environ)
    )
    assert done.returncode == 9
    return "lost-lease", spool


async def _restart(line: Line, spool: Path) -> None:
    async with CreditsClient("http://gateway", KEY, transport=line, spool_dir=spool, retry=Retry(attempts=1)) as client:
        assert await client.drain()
    assert not list((spool / "leases").iterdir())


async def test_what_a_killed_process_used_is_charged_when_it_starts_again(
    gateway: Gateway, line: Line, crashed: tuple[str, Path]
) -> None:
    await _restart(line, crashed[1])

    assert await _charged(gateway, "lost") == (2, [])
    assert await _wallet(gateway) == (7, 3)


async def test_a_lost_block_returns_and_its_uses_are_charged_late(
    gateway: Gateway, line: Line, crashed: tuple[str, Path]
) -> None:
    await _expire(gateway)
    assert await _wallet(gateway) == (9, 0)

    await _restart(line, crashed[1])

    assert await _charged(gateway, "lost") == (2, ["late"])
    assert await _wallet(gateway) == (7, 0)
    assert (await gateway.get("/api/leases/lost-lease")).data["status"] == "expired"


async def test_after_the_grace_period_a_report_is_refused_and_written_down(
    gateway: Gateway, line: Line, crashed: tuple[str, Path]
) -> None:
    await _expire(gateway, hours=24 * 8)
    await _restart(line, crashed[1])

    refused = (crashed[1] / "refused.jsonl").read_text()
    assert "FAREGATE_LEASE_GRACE_SECONDS" in refused
    assert '"usage_key":"lost"' in refused
    assert await _wallet(gateway) == (9, 0)


async def _expire(gateway: Gateway, *, hours: int = 1) -> None:
    """Let the time of all holds and wallets pass."""
    async with gateway.database.transaction() as session:
        past = f"interval '{hours} hours'"
        await gateway.database.rows(
            session, f"update faregate.charge set expires_at = expires_at - {past} where status = 0 returning 1"
        )
        await gateway.database.rows(
            session, f"update faregate.wallet set next_change_at = next_change_at - {past} returning 1"
        )


async def test_a_refused_use_is_written_down_and_the_others_are_charged(
    credits: CreditsClient, gateway: Gateway, tmp_path: Path
) -> None:
    await gateway.end("ada", "paper", usage_key="taken", usages=[])
    async with credits.lease("paper", user="ada", credits=4) as lease:
        lease.use(1, key="taken")
        lease.use(2, key="fine")

    assert '"usage_key":"taken"' in (tmp_path / "spool" / "refused.jsonl").read_text()
    assert await _wallet(gateway) == (3, 0)


async def test_a_lease_of_a_recorded_member_is_not_bounded_and_charges_nothing(
    credits: CreditsClient, gateway: Gateway
) -> None:
    assert (await gateway.put("/api/organizations/acme", {"policy": "recorded", "join": ["eve"]})).status == 200
    async with credits.lease("paper", user="eve", credits=1, organization="acme") as lease:
        key = lease.use(50)
        await lease.renew()

    story = (await gateway.get(f"/api/credits-process/{key}")).data
    assert (story["charging"], story["credits_consumed"], story["credits_charged"]) == ("recorded", 50, 0)


async def test_a_fork_of_the_process_cannot_spend_the_block_again(credits: CreditsClient) -> None:
    async with credits.lease("paper", user="ada", credits=4) as lease:
        lease._opened()._process = -1
        with pytest.raises(InvalidError, match="take one in each process"):
            lease.use(1)
        lease._opened()._process = os.getpid()


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"credits": 0}, "credits"),
        ({"credits": 1, "ttl_seconds": 0}, "ttl_seconds"),
        ({"credits": 1, "ttl_seconds": 2, "report_seconds": 1}, "report_seconds"),
    ],
)
async def test_an_impossible_lease_is_refused_with_the_field(
    credits: CreditsClient, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidError) as refusal:
        credits.lease("paper", user="ada", **wrong)
    assert refusal.value.param == param


async def test_a_lease_larger_than_the_wallet_is_refused_and_says_what_is_free(credits: CreditsClient) -> None:
    with pytest.raises(InsufficientCreditsError) as refusal:
        async with credits.lease("paper", user="ada", credits=11):
            pass
    assert refusal.value.balance == 10


async def test_the_fake_has_leases() -> None:
    async with FakeCredits(balance=10) as credits:
        async with credits.lease("paper", user="ada", credits=6) as lease:
            key = lease.use(2)
            assert credits.gateway.free("ada") == 4
        assert credits.gateway.free("ada") == 8
        assert credits.gateway.uses[key].flags == []
        with pytest.raises(InsufficientCreditsError):
            await credits.lease("paper", user="ada", credits=9).open()


def test_leases_work_without_an_event_loop() -> None:
    with SyncFakeCredits(balance=10) as credits:
        with credits.lease("paper", user="ada", credits=6) as lease:
            lease.use(2)
            lease.report()
            assert (lease.credits, lease.unreported) == (4, 0)
            assert lease.renew() == 6
        assert credits.gateway.free("ada") == 8
