"""The unmodified `runcycles` client against a real gateway: its operations, and its recovery scenarios."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateway.cycles_server import CyclesServer, running_cycles_server
from runcycles import (  # pyright: ignore[reportMissingTypeStubs]  it is typed, but has no marker
    Action,
    Amount,
    AsyncCyclesClient,
    BalanceResponse,
    BudgetExceededError,
    CommitRequest,
    CommitResponse,
    CyclesClient,
    CyclesConfig,
    CyclesResponse,
    DecisionRequest,
    EventCreateRequest,
    ReleaseRequest,
    ReservationCreateRequest,
    ReservationCreateResponse,
    ReservationDetail,
    ReservationExtendRequest,
    ReservationExtendResponse,
    Subject,
    Unit,
    cycles,
)

from support.apps import KEY
from support.docs import Page
from support.servers import address, execute

PAGE = Page.of("docs/reference/cycles.md")
_numbers = count(1)
LLM = Action(kind="llm.completion", name="openai:gpt-4o")


@pytest.fixture(scope="module")
async def cycles_server(server_url: str, template: str) -> AsyncIterator[CyclesServer]:
    """A gateway that sells `llm.completion`, and other actions as `cycles`."""
    name = f"cycles_{os.getpid()}"
    await execute(server_url, f"create database {name} template {template} strategy file_copy")
    async with running_cycles_server(address(server_url, name)) as server:
        for feature in ("llm.completion", "cycles"):
            await server.gateway.feature(feature, strategy="free")
        yield server
    await execute(server_url, f"drop database {name} with (force)")


@pytest.fixture
async def tenant(cycles_server: CyclesServer) -> str:
    """A tenant with 5 credits, which are 0.05 USD or 5,000,000 microcents."""
    cycles_server.faults.clear()
    cycles_server.seen.clear()
    name = f"tenant-{next(_numbers)}"
    await cycles_server.gateway.grant(name, 5)
    return name


@pytest.fixture
async def client(cycles_server: CyclesServer, tenant: str) -> AsyncIterator[AsyncCyclesClient]:
    config = CyclesConfig(cycles_server.url, KEY, tenant=tenant, retry_enabled=False)
    config.connect_timeout = config.read_timeout = 60  # other tests may use the processors meanwhile
    async with AsyncCyclesClient(config) as client:
        yield client


def _reserve(tenant: str, key: str, amount: int, unit: Unit = Unit.CREDITS, **more: Any) -> ReservationCreateRequest:
    return ReservationCreateRequest(
        idempotency_key=key,
        subject=Subject(tenant=tenant, agent="bot"),
        action=LLM,
        estimate=Amount(unit=unit, amount=amount),
        **more,
    )


def _commit(key: str, amount: int, unit: Unit = Unit.CREDITS) -> CommitRequest:
    return CommitRequest(idempotency_key=key, actual=Amount(unit=unit, amount=amount))


def _told(response: CyclesResponse) -> tuple[int, str]:
    assert response.body is not None
    return response.status, response.body["error"]


async def _wallet(cycles_server: CyclesServer, tenant: str) -> tuple[Decimal, Decimal]:
    data = (await cycles_server.gateway.get(f"/api/wallets/{tenant}")).data
    return data["balance"], data["held"]


async def _use(cycles_server: CyclesServer, key: str) -> Any:
    return (await cycles_server.gateway.get(f"/api/credits-process/{key}")).data


async def _expire(cycles_server: CyclesServer, reservation_id: str) -> None:
    async with cycles_server.gateway.database.transaction() as session:
        for statement in (
            "update faregate.charge set expires_at = now() - interval '1 hour' where usage_key = :key returning 1",
            """update faregate.wallet set next_change_at = now() - interval '1 hour'
            where wallet_id = (select wallet_id from faregate.charge where usage_key = :key) returning 1""",
        ):
            await cycles_server.gateway.database.rows(session, statement, key=reservation_id)


async def test_a_reservation_holds_credits_and_its_commit_charges_them(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    response = await client.create_reservation(_reserve(tenant, "r", 3))
    created = ReservationCreateResponse.model_validate(response.body)
    assert (response.status, created.is_allowed(), await _wallet(cycles_server, tenant)) == (200, True, (5, 3))
    assert created.affected_scopes == [f"tenant:{tenant}", f"tenant:{tenant}/agent:bot"]
    assert created.remaining_ttl_ms is not None
    assert 55_000 < created.remaining_ttl_ms <= 60_000

    done = await client.commit_reservation(created.reservation_id or "", _commit("c", 2))
    committed = CommitResponse.model_validate(done.body)
    assert (done.status, committed.charged.amount, await _wallet(cycles_server, tenant)) == (200, 2, (3, 0))
    assert committed.released is not None
    assert committed.released.amount == 1
    use = await _use(cycles_server, created.reservation_id or "")
    assert (use["feature_key"], use["user_id"], use["flags"]) == ("llm.completion", tenant, [])


async def test_amounts_in_money_are_charged_at_the_credit_price(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    created = await client.create_reservation(_reserve(tenant, "r", 500_000, Unit.USD_MICROCENTS))
    assert await _wallet(cycles_server, tenant) == (5, Decimal("0.5"))
    done = await client.commit_reservation(
        str((created.body or {})["reservation_id"]), _commit("c", 423_001, Unit.USD_MICROCENTS)
    )

    assert (done.body or {})["charged"] == {"unit": "USD_MICROCENTS", "amount": 423_001}
    assert await _wallet(cycles_server, tenant) == (5 - Decimal("0.423001"), 0)


async def test_every_repetition_returns_the_first_answer_and_another_request_is_refused(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    first = await client.create_reservation(_reserve(tenant, "r", 3))
    again = await client.create_reservation(_reserve(tenant, "r", 3))
    name = str((first.body or {})["reservation_id"])
    assert _stable(again) == _stable(first)
    assert _told(await client.create_reservation(_reserve(tenant, "r", 2))) == (409, "IDEMPOTENCY_MISMATCH")
    assert _told(await client.create_reservation(_reserve(tenant, "r", 3, overage_policy="REJECT"))) == (
        409,
        "IDEMPOTENCY_MISMATCH",
    )

    done = await client.commit_reservation(name, _commit("c", 2))
    assert (await client.commit_reservation(name, _commit("c", 2))).body == done.body
    assert _told(await client.commit_reservation(name, _commit("c", 1))) == (409, "IDEMPOTENCY_MISMATCH")
    assert _told(await client.commit_reservation(name, _commit("d", 2))) == (409, "RESERVATION_FINALIZED")
    assert _told(await client.release_reservation(name, ReleaseRequest(idempotency_key="x"))) == (
        409,
        "RESERVATION_FINALIZED",
    )
    closed = await client.create_reservation(_reserve(tenant, "r", 3))
    assert _stable(closed) == _stable(first)
    assert (closed.body or {})["remaining_ttl_ms"] == 0
    assert await _wallet(cycles_server, tenant) == (3, 0)


def _stable(response: CyclesResponse) -> dict[str, Any]:
    return {name: value for name, value in (response.body or {}).items() if name != "remaining_ttl_ms"}


async def test_a_release_returns_all_of_it_once(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    name = str(((await client.create_reservation(_reserve(tenant, "r", 3))).body or {})["reservation_id"])
    first = await client.release_reservation(name, ReleaseRequest(idempotency_key="x", reason="user cancelled"))
    again = await client.release_reservation(name, ReleaseRequest(idempotency_key="x", reason="user cancelled"))

    assert first.status == 200
    assert again.body == first.body == {"status": "RELEASED", "released": {"unit": "CREDITS", "amount": 3}}
    assert _told(await client.release_reservation(name, ReleaseRequest(idempotency_key="y"))) == (
        409,
        "RESERVATION_FINALIZED",
    )
    assert _told(await client.commit_reservation(name, _commit("c", 1))) == (409, "RESERVATION_FINALIZED")
    assert await _wallet(cycles_server, tenant) == (5, 0)


async def test_an_extension_moves_the_expiry_once(client: AsyncCyclesClient, tenant: str) -> None:
    created = ReservationCreateResponse.model_validate((await client.create_reservation(_reserve(tenant, "r", 1))).body)
    more = ReservationExtendRequest(idempotency_key="e", extend_by_ms=30_000)
    first = await client.extend_reservation(created.reservation_id or "", more)
    again = await client.extend_reservation(created.reservation_id or "", more)

    extended = ReservationExtendResponse.model_validate(first.body)
    assert _stable(again) == _stable(first)
    assert created.expires_at_ms is not None
    assert 30_000 <= extended.expires_at_ms - created.expires_at_ms <= 31_000
    assert extended.remaining_ttl_ms is not None
    assert extended.remaining_ttl_ms > 85_000


async def test_a_dry_run_and_a_decision_hold_nothing(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    yes = await client.create_reservation(_reserve(tenant, "d1", 5, dry_run=True))
    no = await client.create_reservation(_reserve(tenant, "d2", 6, dry_run=True))
    decision = DecisionRequest(
        idempotency_key="d3", subject=Subject(tenant=tenant), action=LLM, estimate=Amount(unit=Unit.CREDITS, amount=6)
    )

    assert (yes.body or {})["decision"] == "ALLOW"
    assert "reservation_id" not in (yes.body or {})
    assert ((no.body or {})["decision"], (no.body or {})["reason_code"]) == ("DENY", "BUDGET_EXCEEDED")
    assert ((await client.decide(decision)).body or {})["decision"] == "DENY"
    await cycles_server.gateway.grant(tenant, 10)
    assert ((await client.decide(decision)).body or {})["decision"] == "DENY", "the first answer is repeated"
    assert await _wallet(cycles_server, tenant) == (15, 0)


@pytest.mark.parametrize(
    ("policy", "status", "left"),
    [("REJECT", (409, "BUDGET_EXCEEDED"), 5), ("ALLOW_WITH_OVERDRAFT", (409, "OVERDRAFT_LIMIT_EXCEEDED"), 5)],
)
async def test_policies_that_refuse_an_overage(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str, policy: str, status: tuple[int, str], left: int
) -> None:
    created = await client.create_reservation(_reserve(tenant, "r", 2, overage_policy=policy))
    name = str((created.body or {})["reservation_id"])

    assert _told(await client.commit_reservation(name, _commit("c", 7))) == status
    assert await _wallet(cycles_server, tenant) == (left, 2)
    assert (await client.commit_reservation(name, _commit("c2", 2))).status == 200


async def test_an_overage_is_charged_as_far_as_the_wallet_covers_it(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    created = await client.create_reservation(_reserve(tenant, "r", 2))
    done = await client.commit_reservation(str((created.body or {})["reservation_id"]), _commit("c", 7))

    assert (done.body or {})["charged"] == {"unit": "CREDITS", "amount": 5}
    assert await _wallet(cycles_server, tenant) == (0, 0)


async def test_twenty_reservations_at_once_never_hold_more_than_there_is(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    await cycles_server.gateway.grant(tenant, 495)
    answers = await asyncio.gather(
        *(client.create_reservation(_reserve(tenant, f"r{number}", 75)) for number in range(20))
    )

    assert sorted(answer.status for answer in answers) == [200] * 6 + [409] * 14
    assert {_told(answer)[1] for answer in answers if answer.status == 409} == {"BUDGET_EXCEEDED"}
    assert await _wallet(cycles_server, tenant) == (500, 450)


async def test_events_balances_and_lookups(client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str) -> None:
    event = EventCreateRequest(
        idempotency_key="e",
        subject=Subject(tenant=tenant),
        action=Action(kind="tool.search", name="web"),
        actual=Amount(unit=Unit.CREDITS, amount=2),
    )
    first, again = await client.create_event(event), await client.create_event(event)
    assert first.status == again.status == 201
    assert again.body == first.body
    other = event.model_copy(update={"actual": Amount(unit=Unit.CREDITS, amount=1)})
    assert _told(await client.create_event(other)) == (409, "IDEMPOTENCY_MISMATCH")
    assert (await _use(cycles_server, str((first.body or {})["event_id"])))["feature_key"] == "cycles"

    created = await client.create_reservation(_reserve(tenant, "r", 1, metadata={"run": "42"}))
    name = str((created.body or {})["reservation_id"])
    found = BalanceResponse.model_validate((await client.get_balances(tenant=tenant)).body)
    credits = found.balances[0]
    assert credits.reserved is not None
    assert (credits.remaining.amount, credits.reserved.amount) == (2, 1)
    assert found.balances[1].remaining.amount == 2_000_000
    detail = ReservationDetail.model_validate((await client.get_reservation(name)).body)
    assert (detail.is_active(), detail.metadata) == (True, {"run": "42"})
    listed = (await client.list_reservations(tenant=tenant, idempotency_key="r")).body or {}
    assert [each["reservation_id"] for each in listed["reservations"]] == [name]


async def test_refusals_have_the_words_of_the_protocol(client: AsyncCyclesClient, cycles_server: CyclesServer) -> None:
    none = _reserve("nobody", "r", 1)
    tokens = _reserve("nobody", "r", 1, Unit.TOKENS)
    nameless = none.model_copy(update={"subject": Subject(agent="bot")})
    assert _told(await client.create_reservation(none)) == (409, "BUDGET_EXCEEDED")
    assert _told(await client.create_reservation(tokens)) == (400, "UNIT_MISMATCH")
    assert _told(await client.create_reservation(nameless)) == (400, "INVALID_REQUEST")
    assert _told(await client.get_reservation("nothing")) == (404, "NOT_FOUND")
    assert _told(await client.create_reservation({"idempotency_key": "r", "unknown": 1})) == (400, "INVALID_REQUEST")

    async with httpx2.AsyncClient(base_url=cycles_server.url) as http:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        answer = await http.get("/v1/balances?tenant=x", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        differing = await http.post(
            "/v1/decide",
            json=nameless.model_dump(mode="json", exclude_none=True),
            headers={"x-cycles-api-key": KEY, "x-idempotency-key": "another"},
        )
    assert (answer.status_code, answer.json()["error"]) == (401, "UNAUTHORIZED")
    assert answer.json()["trace_id"] == answer.headers["x-cycles-trace-id"] == trace
    assert differing.status_code == 400


async def test_the_page_about_the_protocol_does_what_it_says(
    cycles_server: CyclesServer, tenant: str, tmp_path: Path
) -> None:
    await cycles_server.gateway.grant("ada", 5)
    block = PAGE.block("python", title="cycles.py")
    printed = await asyncio.to_thread(block.run, URL=cycles_server.url, KEY=KEY, HOME=str(tmp_path))

    assert printed.splitlines() == PAGE.block("text").text.splitlines()


async def test_a_stream_reserves_and_commits_what_it_cost(
    cycles_server: CyclesServer, client: AsyncCyclesClient, tenant: str
) -> None:
    estimate = Amount(unit=Unit.CREDITS, amount=3)
    async with client.stream_reservation(action=LLM, estimate=estimate, cost_fn=lambda _: 2):
        assert await _wallet(cycles_server, tenant) == (5, 3)

    assert await _wallet(cycles_server, tenant) == (3, 0)


async def test_the_decorator_reserves_runs_and_commits(
    cycles_server: CyclesServer, tenant: str, tmp_path: Path
) -> None:
    config = CyclesConfig(cycles_server.url, KEY, tenant=tenant, journal_dir=str(tmp_path))

    def run() -> str:
        with CyclesClient(config) as client:

            @cycles(
                estimate=2, actual=1, unit=Unit.CREDITS, action_kind="llm.completion", action_name="m", client=client
            )
            def answer() -> str:
                return "done"

            first = answer()

            @cycles(estimate=50, unit=Unit.CREDITS, action_kind="llm.completion", action_name="m", client=client)
            def too_much() -> str:
                raise AssertionError("not reached")

            with pytest.raises(BudgetExceededError):
                too_much()
            return first

    assert await asyncio.to_thread(run) == "done"
    assert await _wallet(cycles_server, tenant) == (4, 0)


def _guarded(cycles_server: CyclesServer, tenant: str, directory: Path, **config: Any) -> None:
    """Run one guarded action of 2 credits; the client retries by itself until its engine is flushed."""
    settings = CyclesConfig(
        cycles_server.url,
        KEY,
        tenant=tenant,
        read_timeout=0.25,
        retry_initial_delay=0.05,
        journal_dir=str(directory),
        **config,
    )
    with CyclesClient(settings) as client:

        @cycles(estimate=2, unit=Unit.CREDITS, action_kind="llm.completion", action_name="m", client=client)
        def answer() -> str:
            return "done"

        assert answer() == "done"
        end = time.monotonic() + 5
        while any(directory.rglob("*.json")) and time.monotonic() < end:
            time.sleep(0.02)


@pytest.mark.parametrize("fault", ["late", 500, 202], ids=["CR-CORE-001 lost", "5xx", "CR-CORE-004 wrong 2xx"])
async def test_an_ambiguous_commit_is_repeated_with_its_key_and_charged_once(
    cycles_server: CyclesServer, tenant: str, tmp_path: Path, fault: str | int
) -> None:
    cycles_server.faults["commit"] = [fault]
    await asyncio.to_thread(_guarded, cycles_server, tenant, tmp_path)

    keys = cycles_server.keys("commit")
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert not cycles_server.keys("events")
    assert await _wallet(cycles_server, tenant) == (3, 0)


async def test_cr_core_002_a_commit_after_the_expiry_is_charged_in_one_call(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    """The reference server answers 410, and the client sends an event; here the commit itself is late."""
    name = str(((await client.create_reservation(_reserve(tenant, "r", 3))).body or {})["reservation_id"])
    await _expire(cycles_server, name)
    assert _told(await client.get_reservation(name)) == (410, "RESERVATION_EXPIRED")
    more = ReservationExtendRequest(idempotency_key="e", extend_by_ms=1000)
    assert _told(await client.extend_reservation(name, more)) == (410, "RESERVATION_EXPIRED")
    assert _told(await client.release_reservation(name, ReleaseRequest(idempotency_key="x"))) == (
        410,
        "RESERVATION_EXPIRED",
    )

    done = await client.commit_reservation(name, _commit("c", 2))

    assert (done.status, (done.body or {})["charged"]["amount"]) == (200, 2)
    assert (await _use(cycles_server, name))["flags"] == ["late"]
    assert await _wallet(cycles_server, tenant) == (3, 0)


async def test_cr_core_003_a_failed_extension_does_not_stop_the_action(
    cycles_server: CyclesServer, tenant: str, tmp_path: Path
) -> None:
    cycles_server.faults["extend"] = ["late", "late", "late"]

    def run() -> None:
        settings = CyclesConfig(cycles_server.url, KEY, tenant=tenant, read_timeout=0.25, journal_dir=str(tmp_path))
        with CyclesClient(settings) as client:

            @cycles(
                estimate=2, unit=Unit.CREDITS, action_kind="llm.completion", action_name="m", client=client, ttl_ms=1000
            )
            def answer() -> str:
                time.sleep(0.4)
                return "done"

            assert answer() == "done"

    await asyncio.to_thread(run)

    assert cycles_server.keys("extend")
    assert len(cycles_server.keys("commit")) == 1
    assert await _wallet(cycles_server, tenant) == (3, 0)


KILLED = """
import sys
from runcycles import CyclesClient, CyclesConfig, Unit, cycles
config = CyclesConfig(sys.argv[1], sys.argv[2], tenant=sys.argv[3], journal_dir=sys.argv[4], read_timeout=20)
with CyclesClient(config) as client:
    @cycles(estimate=2, unit=Unit.CREDITS, action_kind="llm.completion", action_name="m", client=client)
    def answer():
        return "done"
    if sys.argv[5] == "use":
        answer()
    else:
        import runcycles.lifecycle, runcycles.retry, time
        from pathlib import Path
        engine = runcycles.retry.CommitRetryEngine(config)
        engine.set_client(client)
        end = time.monotonic() + 10
        while any(Path(sys.argv[4]).rglob("*.json")) and time.monotonic() < end:
            time.sleep(0.02)
"""


async def test_cr_durable_001_a_commit_in_flight_survives_the_process_and_is_charged_once(
    cycles_server: CyclesServer, tenant: str, tmp_path: Path
) -> None:
    cycles_server.faults["commit"] = ["late"]
    arguments = [sys.executable, "-c", KILLED, cycles_server.url, KEY, tenant, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*arguments, "use")
    async with asyncio.timeout(20):
        while not cycles_server.keys("commit"):
            await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert list(tmp_path.rglob("*.json")), "journaled before it was sent"

    done = await asyncio.to_thread(subprocess.run, [*arguments, "replay"], check=False, timeout=30)

    assert done.returncode == 0
    assert not list(tmp_path.rglob("*.json"))
    assert len(set(cycles_server.keys("commit"))) == 1
    assert await _wallet(cycles_server, tenant) == (3, 0)


async def test_cr_durable_006_concurrent_replays_charge_once(
    client: AsyncCyclesClient, cycles_server: CyclesServer, tenant: str
) -> None:
    name = str(((await client.create_reservation(_reserve(tenant, "r", 3))).body or {})["reservation_id"])
    answers = await asyncio.gather(*(client.commit_reservation(name, _commit("c", 2)) for _ in range(10)))

    assert {answer.status for answer in answers} == {200}
    assert await _wallet(cycles_server, tenant) == (3, 0)
