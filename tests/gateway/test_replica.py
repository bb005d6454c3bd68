"""A streaming standby answers analyses, exports and lists: none is older than what its reader wrote, and all say their age."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import faregate.core
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.values import Ask, Evidence, InsightKind, InsightResult, PersonFinding
from faregate.core.clock import SystemClock
from faregate.core.db import replica
from faregate.core.db.database import Database
from faregate.core.db.migrate import upgrade
from faregate.core.db.read_scope import ReadScope, entered_scope, repeated_on_primary
from faregate.core.db.replica import Replica, from_replica
from faregate.core.errors import DatabaseBusyError, DatabaseRefusedError, ReplicaLostError
from faregate.wire.ids import new_uuid7
from support.apps import Answer, Gateway, open_gateway, settings_for
from support.deployments import serve_calls
from support.processes import Finished, run_command
from support.redis import RedisServer, redis_server
from support.servers import address, execute
from support.standby import Standby, replicated

SPAN = "startDate=2026-01-01&endDate=2030-01-01"
METRICS = f"/api/analytics/metrics?{SPAN}"
DASHBOARD = f"/api/analytics/dashboard?{SPAN}"
LAG = "x-faregate-lag-seconds"
READ_THERE = {
    "analytics/answers/exploration.py", "analytics/answers/service.py", "analytics/answers/trends.py",
    "analytics/bills/service.py", "analytics/exports/copying.py", "analytics/exports/service.py",
    "analytics/focus/service.py", "analytics/insights/anomalies/service.py", "analytics/insights/costs/service.py",
    "analytics/insights/customers/service.py", "analytics/insights/feedback/service.py",
    "analytics/insights/operations/objectives/service.py", "analytics/insights/run_outs/service.py",
    "analytics/insights/series.py", "analytics/quotas/service.py", "analytics/rollups/known_meters.py",
    "core/access/audit.py", "credit/services/lookups.py", "feature_log/service.py", "usage/service.py",
}  # fmt: skip
"""The modules that read from a replica: a closed list, so that no decision about money, quotas or access is added unseen."""
_numbers = count(1)


@pytest.fixture(scope="module")
def standby() -> Iterator[Standby]:
    with replicated() as standby:
        yield standby


@pytest.fixture(scope="module")
async def migrated(standby: Standby) -> str:
    await execute(standby.primary.url, "create database migrated")
    database = Database(address(standby.primary.url, "migrated"))
    await upgrade(database)
    await database.close()
    return "migrated"


@pytest.fixture
async def database_url(standby: Standby, migrated: str) -> AsyncIterator[str]:
    """The address of a fresh database, which the standby has, too."""
    name = f"test_{next(_numbers)}"
    await execute(standby.primary.url, f"create database {name} template {migrated} strategy wal_log")
    await standby.caught_up()
    yield address(standby.primary.url, name)
    if standby.runs and await standby.run("select pg_is_wal_replay_paused()"):
        await standby.resume()
    await execute(standby.primary.url, f"drop database {name} with (force)")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def database(standby: Standby, database_url: str) -> AsyncIterator[Database]:
    """A database with a replica that may be ten seconds behind."""
    behind = Replica(Database(standby.of(database_url)), lag_seconds=10)
    database = Database(database_url, replica=behind)
    await database.open()
    yield database
    await database.close()


@asynccontextmanager
async def gateways(standby: Standby, url: str, number: int = 1, **more: Any) -> AsyncGenerator[list[Gateway]]:
    settings = settings_for(url, read_database_url=standby.of(url), **more)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_gateway(settings)) for _ in range(number)]


async def record(gateway: Gateway, **headers: str) -> None:
    event = {"id": str(new_uuid7()), "user_id": "ada", "service": "chat"}
    answer = await gateway.call("POST", "/api/usage-events", event, headers=headers)
    assert answer.data["accepted"] == 1, answer.data


async def analyst(gateway: Gateway) -> dict[str, str]:
    """Return the headers of another caller, who only reads."""
    made = await gateway.post("/api/keys", {"name": "bi", "scopes": ["analytics:read"]})
    assert made.status == 201, made.body
    return {"x-server-api-key": made.data["key"]}


async def sure(redis: RedisServer) -> None:
    """Make the gateways sure of who has written: in a new Redis they are not for a while."""
    from redis.asyncio import Redis

    client = Redis.from_url(redis.url)
    await client.set("faregate:wrote-begun", b"1")
    await client.delete("faregate:wrote-unsure")
    await client.aclose()


async def counted(gateway: Gateway, headers: dict[str, str] | None = None) -> tuple[int, Answer]:
    answer = await gateway.call("GET", METRICS, headers=headers)
    return answer.data["totalRequests"], answer


async def reads(gateway: Gateway) -> dict[str, int]:
    text = (await gateway.http.get("/metrics")).text
    found = re.findall(r'faregate_replica_reads_total{answered_by="(\w+)",why="(\w*)"} (\d+)', text)
    return {f"{by} {why}".strip(): int(number) for by, why, number in found}


def test_the_modules_that_read_from_a_replica_are_these() -> None:
    found = {
        str(path.relative_to(path.parents[path.parts[::-1].index("faregate")]))
        for path in Path(faregate.core.__file__).parents[5].glob("*/*/src/faregate/**/*.py")
        if re.search(r"\.(reading|connect_reading)\(", path.read_text()) and "core/db" not in str(path)
    }
    assert found == {f"faregate/{name}" for name in READ_THERE}


async def test_analyses_exports_and_lists_come_from_the_standby(standby: Standby, database_url: str) -> None:
    async with gateways(standby, database_url) as (gateway,):
        await record(gateway)
        paths = [METRICS, DASHBOARD, f"/api/analytics/explore?{SPAN}&by=service", "/api/audit", "/api/usage",
                 f"/api/analytics/export?{SPAN}&format=ndjson", "/api/ledger/balance", "/api/holds", "/api/alerts", "/api/quotas"]  # fmt: skip
        answers = [await gateway.call("GET", path, raw="export" in path) for path in paths]
        counts = await reads(gateway)

    assert [(answer.status, LAG in answer.headers) for answer in answers] == [(200, True)] * len(paths)
    assert set(counts) == {"replica"}
    assert answers[1].data["freshness"]["lagSeconds"] == 0
    assert answers[1].data["overview"]["totalRequests"] == 1


async def test_what_decides_about_money_and_wallets_stays_on_the_primary(standby: Standby, database_url: str) -> None:
    async with gateways(standby, database_url) as (gateway,):
        await standby.pause()
        await gateway.feature("chat", min_credits=Decimal(1))
        await gateway.grant("ada", 10)
        started = await gateway.start("ada", "chat", usage_key="one")
        paths = ["/api/wallets/ada", "/api/wallets/ada/transactions", "/api/features", "/api/credits-process/one"]
        answers = [await gateway.get(path) for path in paths]
        counts = await reads(gateway)

    assert started.status == 200
    assert [(answer.status, LAG in answer.headers) for answer in answers] == [(200, False)] * len(paths)
    assert counts == {}


async def test_a_reader_who_wrote_never_misses_it_and_others_learn_their_lag(
    standby: Standby, database_url: str, redis: RedisServer
) -> None:
    """Two gateways: one takes the writes, both are read. Replay stands still, so that only the primary has them."""
    async with gateways(standby, database_url, 2, redis_url=redis.url) as (one, other):
        reader = await analyst(one)
        await record(one)
        await sure(redis)
        await standby.caught_up()
        await standby.pause()
        await record(one)
        own = [await counted(gateway) for gateway in (one, other, one)]
        theirs = [await counted(gateway, reader) for gateway in (one, other)]
        told = (await other.call("GET", DASHBOARD, headers=reader)).data["freshness"]["lagSeconds"]
        counts = await reads(other)
        await standby.resume()
        await standby.caught_up()
        later = await counted(other, reader)

    assert [(number, LAG in answer.headers) for number, answer in own] == [(2, False)] * 3
    assert [number for number, _ in theirs] == [1, 1]
    assert all(Decimal(0) < Decimal(answer.headers[LAG]) <= 10 for _, answer in theirs)
    assert 0 < told <= 10
    assert counts["primary behind"] >= 1
    assert later[0] == 2


async def test_own_writes_are_read_on_the_standby_once_it_has_them(standby: Standby, database_url: str) -> None:
    """Alternately written and read: each read waits for the replay, usually a few milliseconds, and none is stale."""
    async with gateways(standby, database_url, 2) as both:
        for number in range(1, 21):
            await record(both[number % 2])
            found = await asyncio.gather(*(counted(gateway) for gateway in both))
            assert [requests for requests, _ in found] == [number] * 2
        counts = [await reads(gateway) for gateway in both]
    assert sum(each["replica"] for each in counts) > 0


async def test_a_lag_beyond_the_bound_is_not_accepted_by_anybody(
    standby: Standby, database_url: str, redis: RedisServer
) -> None:
    async with gateways(standby, database_url, redis_url=redis.url, read_lag_seconds=0.2) as (gateway,):
        reader = await analyst(gateway)
        await sure(redis)
        await standby.caught_up()
        await standby.pause()
        await record(gateway)
        await asyncio.sleep(0.3)  # the age of the last replayed commit is what is tested
        number, answer = await counted(gateway, reader)

    assert (number, LAG in answer.headers) == (1, False)


async def test_people_see_what_others_wrote_for_them(standby: Standby, database_url: str, redis: RedisServer) -> None:
    """The product's key writes and the person reads with a link: nobody would know that it concerns them."""
    async with gateways(standby, database_url, redis_url=redis.url) as (gateway,):
        await gateway.grant("ada", 5)
        link = await gateway.post("/api/portal/links", {"user_id": "ada"})
        await sure(redis)
        await standby.caught_up()
        await standby.pause()
        await record(gateway)
        headers = {"x-server-api-key": "", "authorization": f"Bearer {link.data['url'].partition('#')[2]}"}
        found = await gateway.call("GET", "/api/portal/usage", headers=headers)

    assert found.data["requests"] == 1
    assert LAG not in found.headers


async def test_without_redis_every_read_is_fresh(standby: Standby, database_url: str) -> None:
    async with gateways(standby, database_url) as (gateway,):
        reader = await analyst(gateway)
        await standby.pause()
        await record(gateway)
        assert (await counted(gateway, reader))[0] == 1


async def test_while_redis_is_away_and_after_it_lost_its_marks_every_read_is_fresh(
    standby: Standby, database_url: str, redis: RedisServer
) -> None:
    async with gateways(standby, database_url, redis_url=redis.url) as (gateway,):
        reader = await analyst(gateway)
        await sure(redis)
        await counted(gateway, reader)
        await standby.caught_up()
        await standby.pause()
        await redis.stop()
        await record(gateway)
        away = await counted(gateway, reader)
        await redis.start()
        back = await counted(gateway, reader)

    assert [away[0], back[0]] == [1, 1]


async def test_an_old_answer_is_never_kept_under_a_new_version(
    standby: Standby, database_url: str, redis: RedisServer
) -> None:
    """The version is read where the answer is read: what the standby answered is not given to readers of the primary."""
    async with gateways(standby, database_url, redis_url=redis.url) as (gateway,):
        reader = await analyst(gateway)
        await record(gateway)
        await sure(redis)
        await standby.caught_up()
        await standby.pause()
        await record(gateway)
        behind = [(await counted(gateway, reader))[0] for _ in range(2)]
        ahead = [(await counted(gateway))[0] for _ in range(2)]
        again = (await counted(gateway, reader))[0]

    assert (behind, ahead, again) == ([1, 1], [2, 2], 1)


async def test_readiness_and_metrics_tell_the_lag(standby: Standby, database_url: str) -> None:
    async with gateways(standby, database_url) as (gateway,):
        ready = await gateway.get("/readyz")
        text = (await gateway.http.get("/metrics")).text
    (check,) = [check for check in ready.data["checks"] if check["name"] == "replica"]
    assert (ready.status, check["ok"]) == (200, True)
    assert re.fullmatch(r"a standby; its last replayed commit is [\d.]+ s old", check["detail"])
    assert re.search(r"^faregate_replica_lag_seconds [\d.e-]+$", text, re.MULTILINE)
    assert "faregate_replica_up 1.0" in text


async def test_a_dead_standby_is_replaced_by_the_primary_and_taken_back(
    standby: Standby, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replica, "_AWAY_SECONDS", 0.0)
    async with gateways(standby, database_url) as (gateway,):
        await record(gateway)
        before = await counted(gateway)
        standby.stop()
        dead = [await counted(gateway) for _ in range(3)]
        ready = await gateway.get("/readyz")
        text = (await gateway.http.get("/metrics")).text
        standby.start()
        await standby.caught_up()
        async with asyncio.timeout(10):
            while LAG not in (await counted(gateway))[1].headers:
                await asyncio.sleep(0.02)
    logged = capsys.readouterr().out

    assert LAG in before[1].headers
    assert [(number, answer.status, LAG in answer.headers) for number, answer in dead] == [(1, 200, False)] * 3
    assert ready.status == 200
    assert "the primary answers instead" in str(ready.data)
    assert "faregate_replica_up 0.0" in text
    assert logged.count("replica_unavailable") == 1
    assert "replica_answers_again" in logged


async def test_a_conflict_with_recovery_is_answered_by_the_primary(standby: Standby, database: Database) -> None:
    """The primary removes rows that a long statement on the standby still needs: PostgreSQL cancels it."""
    begun = asyncio.Event()
    places: list[bool] = []

    async def count_slowly() -> int:
        async with database.reading(isolation="REPEATABLE READ") as session:
            places.append(from_replica(session))
            await database.rows(session, "select count(*) from faregate.version")
            begun.set()
            (row,) = await database.rows(
                session, f"select count(*) as n from faregate.version, pg_sleep({5 if places[-1] else 0})"
            )
            return int(row.n)

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(repeated_on_primary(count_slowly))
        await begun.wait()
        connection = await asyncpg.connect(database.url)
        await connection.execute("insert into faregate.version select 'x' || n, 1 from generate_series(1, 50) n")
        await connection.execute("delete from faregate.version where name like 'x%'")
        await connection.execute("vacuum faregate.version")
        await connection.close()

    assert places == [True, False]
    assert counting.result() >= 0


async def test_a_conflict_without_a_second_attempt_says_to_try_again(standby: Standby, database: Database) -> None:
    with pytest.raises(ReplicaLostError, match="try again, and the primary answers"):
        async with database.reading(isolation="REPEATABLE READ") as session:
            await database.rows(session, "select count(*) from faregate.version")
            connection = await asyncpg.connect(database.url)
            await connection.execute("insert into faregate.version values ('y', 1); delete from faregate.version")
            await connection.execute("vacuum faregate.version")
            await connection.close()
            await database.rows(session, "select count(*) from faregate.version, pg_sleep(5)")


async def test_a_statement_that_takes_too_long_does_not_make_the_standby_count_as_away(
    standby: Standby, database: Database
) -> None:
    with pytest.raises(DatabaseBusyError, match="took too long"):
        async with database.reading() as session:
            await database.rows(session, "set local statement_timeout = '20ms'")
            await database.rows(session, "select pg_sleep(9)")
    async with database.reading() as session:
        assert from_replica(session)


async def test_reads_of_one_scope_never_go_back_in_time(standby: Standby, database: Database) -> None:
    """Once the primary has answered, the standby does not answer the reads that belong together with that one."""
    await standby.pause()
    async with database.transaction() as session:
        await database.rows(session, "insert into faregate.version values ('z', 1)")
    found: list[tuple[bool, int]] = []
    with entered_scope(ReadScope()) as scope:
        for _ in range(2):
            async with database.reading() as session:
                rows = await database.rows(session, "select version from faregate.version where name = 'z'")
                found.append((from_replica(session), len(rows)))
            scope.decide = _not_fresh
    assert found == [(False, 1)] * 2


async def _not_fresh() -> bool:
    return False


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
async def test_a_read_that_waited_sees_what_it_waited_for(
    standby: Standby, database: Database, monkeypatch: pytest.MonkeyPatch, isolation: Any
) -> None:
    """Its snapshot is of the moment after the wait, not of the first question for the replica's state."""
    monkeypatch.setattr(replica, "_WAIT_SECONDS", 30.0)
    await standby.pause()
    async with database.transaction() as session:
        await database.rows(session, "insert into faregate.version values ('waited', 1)")

    async def read() -> tuple[bool, int]:
        async with database.reading(isolation=isolation) as session:
            rows = await database.rows(session, "select version from faregate.version where name = 'waited'")
            return from_replica(session), len(rows)

    reading = asyncio.create_task(read())
    await standby.run("select pg_sleep(0.2)")  # the read has asked for the state meanwhile, and waits
    await standby.resume()

    assert await asyncio.wait_for(reading, 30) == (True, 1)


async def test_a_change_within_a_transaction_is_read_in_it(standby: Standby, database: Database) -> None:
    async def work(session: Any) -> int:
        await database.rows(session, "insert into faregate.version values ('w', 1)")
        async with database.reading() as reading:
            rows = await database.rows(reading, "select version from faregate.version where name = 'w'")
        return len(rows)

    assert await database.run_joined(work) == 1


async def test_a_write_to_a_standby_names_the_fix(standby: Standby, database_url: str) -> None:
    database = Database(standby.of(database_url))
    await database.open()
    with pytest.raises(DatabaseRefusedError, match="standby or read-only, and takes no writes; name the primary"):
        async with database.transaction() as session:
            await database.rows(session, "insert into faregate.version values ('v', 1)")
    await database.close()


READ_ONLY = (
    "doctor", "verify", "wallets show ada", "transactions ada", "usage totals", "usage export csv {place}",
    "insights churn", "logs search", "privacy export ada --file {place}/ada.json", "backup {place}/standby.dump",
)  # fmt: skip
READ_ONLY_TOO = (
    "audit", "wallets list", "grants list ada", "keys list", "statement --from 2026-01-01 --to 2030-01-01", "close list",
    "payments list", "payments packages", "usage stats --meter api", "usage trends --meter api",
    "usage peaks --meter api", "usage series api", "usage distribution --by service", "usage meters list",
    "insights returns", "insights savings", "insights budgets", "insights feedback", "insights objectives",
    "insights forecast", "insights run-outs", "insights anomalies", "insights segments", "insights cohorts",
    "insights adoption", "insights upsell", "insights capacity", "insights segment list", "reports list",
    "quotas status", "quotas check ada", "alerts list", "bills list", "dlq list", "logs retention show",
    "features list", "features show chat", "plans list", "prices show gpt-4o", "prices check", "ingest list",
    "organizations list", "bi columns", "export focus {place}/focus --from 2026-01-01 --to 2030-01-01",
)  # fmt: skip
WRITES = (
    "grants add ada 5 --source bonus", "wallets set ada --email ada@example.org", "usage rollup",
    "keys create bi --scope analytics:read", "quotas set ada api 5", "migrate",
)  # fmt: skip


async def _typed_on(standby: Standby, database_url: str, lines: Sequence[str], place: Path) -> dict[str, Finished]:
    async with open_gateway(settings_for(database_url)) as gateway:
        await serve_calls(gateway)
    await standby.caught_up()
    settings = {"FAREGATE_DATABASE_URL": standby.of(database_url)}
    return {line: await run_command(*line.format(place=place).split(), **settings) for line in lines}


async def test_commands_that_read_run_on_a_standby(standby: Standby, database_url: str, tmp_path: Path) -> None:
    done = await _typed_on(standby, database_url, READ_ONLY, tmp_path)

    wrong = {line: each for line, each in done.items() if each.code and not line.startswith("insights")}
    assert wrong == {}
    assert "Churn risk" in done["insights churn"].out
    assert "note: the server is a standby, so that this is not in the audit log: wallets.get_wallet of ada by cli:" in (
        done["wallets show ada"].err
    )


async def test_every_command_that_reads_runs_on_a_standby(standby: Standby, database_url: str, tmp_path: Path) -> None:
    done = await _typed_on(standby, database_url, READ_ONLY_TOO, tmp_path)

    lacks_data = {line for line, each in done.items() if each.code == 1 and "Method: " in each.err}
    assert {line for line in lacks_data if not line.startswith("insights")} == set()
    assert {line: each for line, each in done.items() if each.code and line not in lacks_data} == {}


async def test_commands_that_write_say_that_the_server_is_a_standby(
    standby: Standby, database_url: str, tmp_path: Path
) -> None:
    done = await _typed_on(standby, database_url, WRITES, tmp_path)

    told = {
        line: (each.code, "is a standby or read-only, and takes no writes" in each.err) for line, each in done.items()
    }
    assert told == {**dict.fromkeys(WRITES, (1, True)), "migrate": (0, False)}, done


async def test_an_insight_computed_on_a_standby_is_shown_and_not_kept(standby: Standby, database_url: str) -> None:
    settings = settings_for(database_url)
    async with open_gateway(settings) as gateway:
        await gateway.grant("ada", 1)
        await gateway.grant("bob", 1)
    await standby.caught_up()
    database = Database(standby.of(database_url))
    await database.open()
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(session, "select subject_id, external_id from faregate.subject order by 2")
    people = [PersonFinding(row.subject_id, rank, {"risk": 1}) for rank, row in enumerate(rows, 1)]
    moment = SystemClock().now()
    result = InsightResult(True, Evidence("m", 2, "users", moment, moment, "u"), {"sum": Decimal("1.5")}, people)

    async def compute() -> InsightResult:
        return result

    keeper = InsightKeeper(database, InsightRepository(database), SystemClock())
    ask = Ask(InsightKind.CHURN, {})
    shown: list[list[str | None]] = []
    for people_listed, user_id in ((1, None), (5, None), (5, "bob")):
        made = await keeper.current(ask, compute, made_since=moment, people=people_listed, user_id=user_id)
        shown.append([person.user_id for person in made.result.people])
    await database.close()

    assert shown == [["ada"], ["ada", "bob"], ["bob"]]
