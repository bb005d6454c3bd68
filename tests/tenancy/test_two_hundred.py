"""Two hundred tenants in one process: memory, time, connections and idle statements of each. It takes minutes (`make test-long`)."""

import asyncio
import gc
import os
import subprocess
import time
from pathlib import Path

import asyncpg

from faregate.core.db.embedded import postgres_program
from faregate.core.tenants.values import TenantState
from faregate.worker.main import run_worker
from support.tenancy import Front, deployment_settings, open_front, until

COUNT = 200
POOL = 10


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def make_tenants(front: Front, url: str) -> None:
    """Copy beta's tables for each tenant, which is faster than to migrate each."""
    dump = await asyncio.to_thread(
        subprocess.run,
        [str(postgres_program("pg_dump")), f"--dbname={url}", "--schema=tenant_beta", "--inserts", "--no-owner"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    script = "\n".join(line for line in dump.stdout.splitlines() if not line.startswith("\\"))
    connection = await asyncpg.connect(url)
    registry, database = front.container.tenants(), front.container.database()
    for number in range(COUNT):
        await connection.execute(script.replace("tenant_beta", f"tenant_t{number}"))
        await connection.execute("reset all")
        async with database.transaction() as session:
            tenant = await registry.add(session, f"t{number}", f"tenant_t{number}", [f"t{number}.example.com"])
            own = {"server_api_key": f"key-of-t{number}-0123456789"}
            await registry.change(session, tenant, state=TenantState.ACTIVE, overrides=own)
    await connection.close()


async def call(front: Front, number: int) -> int:
    headers = {"host": f"t{number}.example.com", "x-server-api-key": f"key-of-t{number}-0123456789"}
    return (await front.http.get("/api/features", headers=headers)).status_code


async def is_known(front: Front) -> bool:
    return len((await front.container.tenant_apps().current()).active) > COUNT


async def count_of_connections(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and backend_type = 'client backend'"
        )
    finally:
        await connection.close()
    return int(found)


async def test_two_hundred_tenants_cost_little_each(deployment_url: str) -> None:
    settings = deployment_settings(deployment_url, db_pool_size=POOL)
    async with open_front(settings) as front:
        await make_tenants(front, deployment_url)
        await until(lambda: is_known(front))
        await front.call("acme", "GET", "/api/features")
        gc.collect()
        memory, began = resident_kib(), time.process_time()
        for number in range(COUNT):
            assert await call(front, number) == 200
        first = (time.process_time() - began) / COUNT
        gc.collect()
        each = (resident_kib() - memory) / COUNT
        began = time.process_time()
        for number in range(COUNT):
            await call(front, number)
        again = (time.process_time() - began) / COUNT
        statuses = await asyncio.gather(*(call(front, number) for number in range(COUNT)))
        connections = await count_of_connections(deployment_url)
    print(
        f"\ngateway: {each:.0f} KiB, first call {first * 1000:.1f} ms, later {again * 1000:.1f} ms; {connections} connections"
    )

    assert set(statuses) == {200}
    assert connections <= POOL + 2
    assert each < 3 * 1024
    assert first < 0.25

    stop = asyncio.Event()
    gc.collect()
    memory, began = resident_kib(), time.process_time()
    working = asyncio.create_task(run_worker(settings, stop))
    connection = await asyncpg.connect(deployment_url)

    async def all_looked_at() -> bool:
        ran = "select count(*) from tenant_t{0}.scheduled_job where last_finished_at is not null"
        return all([await connection.fetchval(ran.format(number)) for number in (0, COUNT // 2, COUNT - 1)])

    await until(all_looked_at, seconds=300)
    opened = time.process_time() - began
    gc.collect()
    each = (resident_kib() - memory) / COUNT
    connections = await count_of_connections(deployment_url)
    began, clock = time.process_time(), time.monotonic()
    await asyncio.sleep(20)
    idle = (time.process_time() - began) / (time.monotonic() - clock)
    stop.set()
    await working
    await connection.close()
    print(
        f"worker: {each:.0f} KiB, all opened in {opened:.1f} s of processor time; {connections} connections; idle {idle:.2f} cores"
    )

    assert connections <= POOL + 4
    assert each < 3 * 1024
