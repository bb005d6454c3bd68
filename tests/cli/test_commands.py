"""Commands as processes: output, exit codes and signals."""

import asyncio
import signal
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from faregate.cli.demo.load_driver import open_client
from faregate.cli.demo.stack import Stack, private_stack
from faregate.core.db.embedded import EmbeddedServer
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.processes import run_command, start_command

REQUESTS = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:17:{second:02d}.9799600,{100 + 37 * second % 4000},{1 + second % 50}\n" for second in range(60)
)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with private_stack(tmp_path / "data") as stack:
        yield stack


async def test_up_serves_and_a_signal_stops_it_and_its_database(tmp_path: Path) -> None:
    async with private_stack(tmp_path / "data") as stack:
        async with open_client(stack.url, stack.key) as client:
            status, ready = await client.call("GET", "/readyz")
            told = (stack.data_dir / "up.log").read_text()
        stack.process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(stack.process.wait(), 20)

    assert (status, ready["data"]["status"], code) == (200, "ready", 0)
    assert stack.url in told
    assert stack.key not in told  # up.log is a log
    assert f"export FAREGATE_DATA_DIR={stack.data_dir}" in told
    assert EmbeddedServer(stack.data_dir).server_pid() is None


async def test_the_key_of_up_is_kept_in_a_private_file(tmp_path: Path) -> None:
    async with private_stack(tmp_path / "data") as first:
        pass
    async with private_stack(tmp_path / "data") as second:
        pass

    assert first.key == second.key
    assert stat.S_IMODE((tmp_path / "data" / "server_api_key").stat().st_mode) == 0o600


async def test_a_port_in_use_is_reported_with_the_fix(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await run_command("up", "--port", port, "--data-dir", str(tmp_path / "data"))

    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.err
    assert "--port" in done.err
    assert "Traceback" not in done.err


async def test_wrong_settings_exit_2_and_name_the_variables() -> None:
    done = await run_command("migrate", FAREGATE_PORT="no", FAREGATE_DATABASE_URL="mysql://x")

    assert done.code == 2
    assert {"FAREGATE_PORT", "FAREGATE_DATABASE_URL"} <= {
        line.split(":")[0].removeprefix("faregate ") for line in done.err.replace("faregate: ", "").splitlines()
    }


async def test_an_unavailable_database_exits_1_without_a_traceback() -> None:
    done = await run_command("verify", FAREGATE_DATABASE_URL="postgresql://postgres@127.0.0.1:1/none")

    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "nothing listens there" in done.err


async def test_help_lists_every_command_with_its_purpose() -> None:
    done = await run_command("--help")

    assert done.code == 0
    for name in ("up", "worker", "gateway", "demo", "replay", "migrate", "verify", "doctor"):
        assert f" {name} " in done.out


async def test_migrate_reports_what_it_migrated(server_url: str) -> None:
    from support.servers import address, execute

    await execute(server_url, "create database test_migrate_command")
    url = address(server_url, "test_migrate_command")
    first = await run_command("migrate", FAREGATE_DATABASE_URL=url)
    again = await run_command("migrate", FAREGATE_DATABASE_URL=url)
    await execute(server_url, "drop database test_migrate_command with (force)")

    assert "migrated from nothing to" in first.out
    assert "already" in again.out


async def test_a_database_that_is_not_migrated_is_reported_with_the_fix(server_url: str) -> None:
    from support.servers import address, execute

    await execute(server_url, "create database test_unmigrated")
    done = await run_command("grants", "add", "ada", "5", FAREGATE_DATABASE_URL=address(server_url, "test_unmigrated"))
    await execute(server_url, "drop database test_unmigrated with (force)")

    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "run `faregate migrate`" in done.err


async def test_doctor_reports_what_is_broken_and_the_fix(server_url: str, database_url: str) -> None:
    from support.servers import address, execute

    await execute(server_url, "create database test_doctor_command")
    fine = await run_command("doctor", "-o", "json", FAREGATE_DATABASE_URL=database_url)
    empty = await run_command("doctor", FAREGATE_DATABASE_URL=address(server_url, "test_doctor_command"))
    away = await run_command("doctor", "-o", "json", FAREGATE_DATABASE_URL="postgresql://postgres@127.0.0.1:1/none")
    await execute(server_url, "drop database test_doctor_command with (force)")

    assert fine.code == 0
    assert {check["name"]: check["ok"] for check in exact_json.loads(fine.out)} == dict.fromkeys(
        ["settings", "key", "tokens", "disk", "database", "migrations", "clock", "queue", "webhooks", "prices"], True
    )
    assert empty.code == 1
    assert "run `faregate migrate`" in empty.out
    assert [c["fix"] for c in exact_json.loads(away.out) if not c["ok"]] == [
        "start PostgreSQL there, or correct host and port in FAREGATE_DATABASE_URL"
    ]


async def test_verify_is_clean_and_finds_an_edited_balance(stack: Stack) -> None:
    async with open_client(stack.url, stack.key) as client:
        await client.must("POST", "/api/wallets/ada/grants", {"credits": 100, "source": "purchase"})
        await client.must("POST", "/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
    place = {"FAREGATE_DATA_DIR": str(stack.data_dir)}
    clean = await run_command("verify", "-o", "json", **place)
    connection = await asyncpg.connect(EmbeddedServer(stack.data_dir).url)
    await connection.execute("update faregate.wallet set debits = debits - 1")
    await connection.close()
    again = await run_command("verify", "--new", **place)
    drifted = await run_command("verify", **place)
    counted = await run_command("verify", "-o", "json", **place)

    assert clean.code == 0
    assert {**exact_json.loads(clean.out), "drifts": []} == {
        "wallets": 1,
        "charges": 1,
        "transfers": 2,
        "drifts": [],
        "clean": True,
    }
    assert again.code == drifted.code == counted.code == 1
    assert "first divergence: wallet 1: debits is 4,999,999, expected 5,000,000" in drifted.out
    assert {(d["check"], d["stored"], d["derived"]) for d in exact_json.loads(counted.out)["drifts"]} >= {
        ("debits", 4_999_999, 5_000_000)
    }


async def test_settling_by_queue_and_by_http_costs_the_same_to_the_micro_credit(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(REQUESTS)
    common = ("replay", str(file), "--url", stack.url, "--key", stack.key, "-o", "json", "--users", "5")
    by_queue = exact_json.loads((await run_command(*common, "--settle", "queue")).out)
    by_http = exact_json.loads((await run_command(*common, "--settle", "http", "--run", "by-http")).out)
    again = exact_json.loads((await run_command(*common, "--settle", "http", "--run", "by-http")).out)
    verified = await run_command("verify", FAREGATE_DATA_DIR=str(stack.data_dir))

    sums = [
        {name: value for name, value in run.items() if name not in {"run", "settle"}}
        for run in (by_queue, by_http, again)
    ]
    assert sums[0] == sums[1] == sums[2]
    assert sums[0]["rides"] == 60
    assert sums[0]["credits_charged"] > 0
    assert verified.code == 0


async def test_a_killed_worker_neither_loses_nor_repeats_a_charge(tmp_path: Path) -> None:
    """`kill -9` while uses are settled, and a restart: every use is charged once."""
    async with private_stack(tmp_path / "data", arguments=["--without-worker"]) as stack:
        place = {"FAREGATE_DATA_DIR": str(stack.data_dir), "FAREGATE_SETTLE_BATCH_SIZE": "5"}
        async with open_client(stack.url, stack.key) as client:
            await client.must("PUT", "/api/features/chat", {"strategy": "token_priced"})
            await client.must("POST", "/api/wallets/ada/grants", {"credits": 1000, "source": "purchase"})
            usages = [{"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}]
            for number in range(300):
                body = {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": f"k{number}", "usages": usages}
                await client.call(
                    "POST", "/api/credits-process/end-multimodel", body, headers={"prefer": "respond-async"}
                )
            worker = await start_command("worker", **place)
            async with asyncio.timeout(60):
                while (await _waiting(stack)) > 250:
                    await asyncio.sleep(0.01)
            worker.kill()
            await worker.communicate()
            left = await _waiting(stack)
            connection = await asyncpg.connect(EmbeddedServer(stack.data_dir).url)
            await connection.execute("update faregate.message set available_at = now()")
            await connection.close()
            second = await start_command("worker", **place)
            async with asyncio.timeout(60):
                while await _waiting(stack):
                    await asyncio.sleep(0.05)
            second.terminate()
            await second.communicate()
            wallet = await client.must("GET", "/api/wallets/ada")
        verified = await run_command("verify", **place)

    assert left > 0
    assert wallet["balance"] == 1000 - 300 * exact_json.loads("0.42")
    assert second.returncode == 0
    assert verified.code == 0


async def _waiting(stack: Stack) -> int:
    connection = await asyncpg.connect(EmbeddedServer(stack.data_dir).url)
    try:
        sql = "select count(*) from faregate.message where queue = $1 and dead_at is null"
        return int(await connection.fetchval(sql, SETTLE_MULTIMODEL_QUEUE))
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a,b\n1,2\n", "lacks the column 'timestamp'"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "holds no requests"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,many,1\n", "line 2"),
    ],
)
async def test_an_unreadable_file_for_replay_is_reported_by_line(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(content)
    done = await run_command("replay", str(file), "--url", "http://127.0.0.1:1")

    assert done.code == 1
    assert problem in done.err
