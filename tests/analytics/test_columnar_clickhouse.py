"""The columnar copy in ClickHouse: the same answers to the last digit, whatever is killed, lost, erased or away."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.conftest import lab_of
from analytics.test_archiving import made
from analytics.test_columnar import (
    ALL,
    EVERY,
    WEEK,
    Columns,
    CopiedLife,
    check,
    fill,
    killed,
    note_answers,
    registered,
    same,
)
from analytics.test_interleavings import FILTERS, RANGES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faregate.analytics.columnar import copier
from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.client import ClickHouseClient
from faregate.analytics.columnar.clickhouse.engine import ClickHouseEngine
from faregate.analytics.columnar.clickhouse.errors import ClickHouseError
from faregate.analytics.columnar.clickhouse.place import ClickHousePlace
from faregate.analytics.columnar.columns import COLUMNS
from faregate.analytics.columnar.container import make_place
from faregate.analytics.columnar.copier import ColumnarCopier
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.questions_sql import FactCondition
from faregate.analytics.columnar.registry import Registry, View
from faregate.analytics.question.filters import Filters, Question
from faregate.core.errors import ConfigurationError
from faregate.core.settings import load_settings
from support.clickhouse import PASSWORD

STEPS = ("insert", "insert", "insert", "late", "void", "replace", "begin", "end", "copy", "copy", "lose", "merge")


@dataclass
class Shipped(Columns):
    """A lab whose copy is in ClickHouse."""

    url: str = ""

    @property
    def copier(self) -> ColumnarCopier:
        registry = self.lab.analytics.columnar.container.registry()
        return ColumnarCopier(self.lab.database, registry, ClickHousePlace(ClickHouseAddress.of(self.url)), EVERY)

    @property
    def client(self) -> ClickHouseClient:
        return ClickHouseClient(ClickHouseAddress.of(self.url), timeout_seconds=60)

    async def table(self) -> str:
        async with self.lab.database.transaction() as session:
            ((store,),) = await self.lab.database.rows(session, "select store from faregate.columnar_state")
        return f"faregate_facts_{UUID(str(store)).hex}"

    async def parts(self) -> dict[str, int]:
        """The facts of each file."""
        found = await self.client.rows(f"select toString(file_id), count() from {await self.table()} group by 1")
        return dict(found)


@pytest.fixture
async def columns(database_url: str, clickhouse_url: str, tmp_path: Path) -> AsyncIterator[Shipped]:
    async with lab_of(load_settings(database_url=database_url, clickhouse_url=clickhouse_url)) as lab:
        yield Shipped(lab, tmp_path, url=clickhouse_url)


@pytest.fixture
def answered(columns: Shipped, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of all questions that ClickHouse has answered."""
    return note_answers(columns.answered, monkeypatch)


class ShippedLife(CopiedLife):
    """A life in which files of ClickHouse are dropped, or lose a fact."""

    def __init__(self, columns: Shipped, seed: int) -> None:
        super().__init__(columns, seed)
        self.shipped = columns

    async def lose(self) -> None:
        table = await self.shipped.table()
        if not await self.shipped.client.rows("select 1 from system.tables where name = {t:String}", {"t": table}):
            return
        parts = sorted(await self.shipped.parts())
        if parts:
            await self.shipped.client.run(f"alter table {table} drop partition '{self.random.choice(parts)}'")


@settings(
    max_examples=6,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(STEPS), min_size=8, max_size=20), st.integers(0, 2**32))
async def test_every_answer_of_clickhouse_equals_that_of_the_table(
    columns: Shipped, answered: list[str], steps: list[str], seed: int
) -> None:
    """For any interleaving of inserts, resends, late events, corrections, open host transactions, copies and lost files."""
    life = ShippedLife(columns, seed)
    try:
        for number, name in enumerate(steps):
            await life.step(name)
            if number % 5 == 4:
                await check(columns, [Question(life.random.choice(RANGES), life.random.choice(FILTERS))])
    finally:
        while life.open:
            await life.end()
    await life.insert()
    await life.copy()
    answered.clear()
    await check(columns, [Question(life.random.choice(RANGES), wanted) for wanted in FILTERS])
    assert len(answered) > 100


async def test_answers_equal_those_of_the_table_with_a_tail_and_corrections(
    columns: Shipped, answered: list[str]
) -> None:
    """One life with late events, voids, replacements and an open transaction; every kind of question, with and without a filter."""
    life = ShippedLife(columns, 11)
    for name in ("insert", "late", "insert", "copy", "void", "replace", "begin", "copy", "end", "insert"):
        await life.step(name)
    await check(columns, [ALL, Question(RANGES[-1], Filters(service="chat", country="de", status="error"))])
    assert len(answered) > 60


@pytest.mark.parametrize("at", ["to be sent", "inserted", "sent", "registered", "merged there"])
async def test_a_killed_run_leaves_nothing_that_is_read_and_the_next_one_copies_each_fact_once(
    columns: Shipped, answered: list[str], database_url: str, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    await fill(columns)
    await columns.copier.run()
    with monkeypatch.context() as patch:
        patch.setattr(copier, "due_for_merge", lambda _files: ())
        for _ in range(11):
            await fill(columns, 3)
            await columns.copier.run() if at == "merged there" else None
    killed(columns.url, database_url, at)
    await same(columns)

    await columns.copier.run()
    answered.clear()
    await same(columns)
    assert answered
    assert {UUID(name).hex for name in await columns.parts()} == await registered(columns)


async def test_a_run_that_fails_after_its_insert_counts_nothing_twice(
    columns: Shipped, answered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition is there, PostgreSQL does not know it: it is not read, and dropped by the next run."""
    await fill(columns)
    await columns.copier.run()
    before = set(await columns.parts())
    await fill(columns)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "advance", _fails)
        with pytest.raises(RuntimeError, match="killed"):
            await columns.copier.run()
    left = set(await columns.parts()) - before
    assert left
    await same(columns)
    await columns.copier.run()

    await same(columns)
    assert answered
    assert not left & set(await columns.parts())
    assert sum((await columns.parts()).values()) == (await columns.copier.status()).facts > 0


async def _fails(*_: Any) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize("damage", ["drop partition '{}'", "delete where file_id = '{}' and time_us = {}"])
async def test_a_damaged_file_is_not_answered_from_and_written_again(
    columns: Shipped, answered: list[str], damage: str
) -> None:
    """A file that was dropped, and one that lost some of its facts."""
    await fill(columns, 40)
    await columns.copier.run()
    (name, *_), table = await columns.parts(), await columns.table()
    ((first,),) = await columns.client.rows(f"select min(time_us) from {table} where file_id = '{name}'")
    await columns.client.run(f"alter table {table} {damage.format(name, first)} settings mutations_sync = 2")
    await same(columns)
    assert not answered

    await columns.copier.run()
    await same(columns)
    assert answered
    assert await columns.copier.run() == 0


async def test_an_erased_person_is_not_in_clickhouse(columns: Shipped) -> None:
    secret = "marie.curie@example.org"
    words = {"tags": [secret], "metadata": {"note": secret}, "id": secret, "usage_key": f"use-of-{secret}"}
    await columns.lab.recorder.record(
        [{"user_id": secret, "service": "chat", "kind": "request", "source": "s", **words}]
    )
    await columns.copier.run()
    rows = await columns.client.rows(f"select * from {await columns.table()}")
    assert any("chat" in row for row in rows)
    assert "curie" not in str(rows)


async def test_names_of_any_form_are_shipped_as_they_are(columns: Shipped, answered: list[str]) -> None:
    names = [
        *('a,"b"', "line\nbreak", "tab\there", "''", "ü ß 漢字 🙂", "\\N", "NULL", "a\r\nb", "x" * 200, "{}"),
        *("$1", " a ", "a\\", "\\t", "{x:String}", "\x0b\x0c\x08", "');", "\\'"),
    ]
    events = [
        {"id": str(n), "source": "s", "user_id": "u", "service": "chat", "model": name, "provider": name}
        for n, name in enumerate(names)
    ]
    report = await columns.lab.recorder.record(events[::2])
    await columns.copier.run()
    rest = await columns.lab.recorder.record(events[1::2])
    assert report.accepted + rest.accepted == len(names)
    facts, raw = columns.facts, columns.lab.analytics.raw()
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        for by in (("model", "provider"), ("provider",)):
            assert await facts.measures(session, ALL, by) == await raw.measures(session, ALL, by)
        for name in names:
            wanted = Question(WEEK, Filters(provider=name, model=name))
            assert await facts.measures(session, wanted) == await raw.measures(session, wanted)
    assert len(answered) == 2 + len(names)


async def test_sums_beyond_64_bits_are_exact(columns: Shipped) -> None:
    """ClickHouse's own sum of 64-bit integers begins again at the least number."""
    most, month, store = 2**63 - 1, date(2026, 11, 1), uuid4()
    values = {"time_us": 1, "sign": 1, "subject_id": 5, "service": "chat", "requests": 1, "calls": 1}
    values |= dict.fromkeys(("input_tokens", "output_tokens", "credits", "charged", "cost"), most)
    row = "\t".join(str(values.get(column.name, "\\N")) for column in COLUMNS).encode() + b"\n"
    async with ClickHousePlace(ClickHouseAddress.of(columns.url)).open(store) as opened:
        await opened.make()
        file = await opened.write(month, row * 3, 3)
    selected = Selected(
        View(store, 0, (), True, (file.file_id,), (file.bytes,), 3, frozenset()),
        FactCondition("e.time_us > 0", "", {}),
        "",
    )
    names = ("input_tokens", "output_tokens", "credits", "charged", "cost")
    found = await ClickHouseEngine(columns.client).rows(
        selected, f"select {', '.join(f'sum(e.{n})' for n in names)} from facts e"
    )
    assert found == [(Decimal(3 * most),) * 5]


async def test_an_archived_month_leaves_clickhouse_and_is_copied_again_when_restored(
    columns: Shipped, answered: list[str], tmp_path: Path
) -> None:
    archive = made(columns.lab, tmp_path / "archive")
    await fill(columns, 60)
    await columns.copier.run()
    manifests = await archive.archive()
    await same(columns)
    for _ in range(2):
        await columns.copier.run()
    assert not await columns.parts()

    for manifest in manifests:
        await archive.restore(manifest.month)
    await columns.copier.run()
    answered.clear()
    await same(columns)
    assert answered


async def test_two_databases_share_clickhouse_and_no_table(columns: Shipped) -> None:
    """As after a restore from a dump: the copy begins anew, and leaves the other table alone."""
    await fill(columns)
    await columns.copier.run()
    before = await columns.parts()
    table = await columns.table()
    async with columns.lab.database.transaction() as session:
        await columns.lab.database.rows(session, "update faregate.columnar_state set table_oid = table_oid + 1")
    await columns.copier.run()
    await same(columns)
    kept = await columns.client.rows(f"select count() from {table}")
    assert kept == [(sum(before.values()),)]
    assert table != await columns.table()


@asynccontextmanager
async def _listener(answer: bytes | None) -> AsyncGenerator[tuple[str, list[int]]]:
    """A server that gives one answer to everything, or none; it counts its connections."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        await reader.read(1)
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read(-1)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


HTML = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>"


async def test_a_server_that_hangs_is_asked_once_and_postgresql_answers(
    columns: Shipped, caplog: pytest.LogCaptureFixture, database_url: str
) -> None:
    await fill(columns)
    await columns.copier.run()
    async with _listener(None) as (host, seen):
        url = f"http://faregate:hidden-word@{host}/facts"
        async with lab_of(load_settings(database_url=database_url, clickhouse_url=url)) as lab:
            other = Shipped(lab, columns.folder, url=url)
            client = ClickHouseClient(ClickHouseAddress.of(url), timeout_seconds=0.3)
            other.facts._source._engine = ClickHouseEngine(client)
            await same(other)
            await same(other, ALL, replace(ALL, filters=Filters(service="chat")))
            assert len(seen) == 1


@pytest.mark.parametrize("url", ["http://faregate:wrong@{}/{}", "http://{}/{}", "http://127.0.0.1:1/{1}"])
async def test_postgresql_answers_while_clickhouse_refuses_or_is_away(
    columns: Shipped, database_url: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(columns)
    await columns.copier.run()
    host, _, name = columns.url.rpartition("@")[2].partition("/")
    counted: list[tuple[str, bool]] = []
    async with lab_of(load_settings(database_url=database_url, clickhouse_url=url.format(host, name))) as lab:
        lab.database.cache_metrics.listen(lambda name, hit: counted.append((name, hit)))
        await same(Shipped(lab, columns.folder, url=columns.url))
    assert ("columnar_copy", False) in counted
    assert ("columnar_copy", True) not in counted
    assert "wrong" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "http://faregate:wrong@{}/{}",
            "refuses the user 'faregate'; correct user and password in FAREGATE_CLICKHOUSE_URL",
        ),
        ("http://{}/{}", "refuses the user 'default'; correct user and password"),
        ("{2}/nowhere", "has no database 'nowhere'; create it, or name another one in FAREGATE_CLICKHOUSE_URL"),
        (
            "http://127.0.0.1:1/{1}",
            "does not answer (All connection attempts failed); start it, or correct host and port",
        ),
    ],
)
async def test_errors_name_the_setting_and_the_fix_and_no_password(
    columns: Shipped, url: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, _, name = columns.url.rpartition("/")
    address = ClickHouseAddress.of(url.format(server.rpartition("@")[2], name, server))
    with caplog.at_level(logging.DEBUG), pytest.raises(ClickHouseError) as told:
        await ColumnarCopier(
            columns.lab.database, columns.lab.analytics.columnar.container.registry(), ClickHousePlace(address), EVERY
        ).run()
    assert said in told.value.detail
    texts = told.value.detail + caplog.text + repr(address) + str(address)
    assert not [word for word in (PASSWORD, "pass%3A", "wrong") if word in texts]


async def test_a_web_server_that_is_not_clickhouse_is_recognised() -> None:
    async with _listener(HTML) as (host, _):
        client = ClickHouseClient(ClickHouseAddress.of(f"http://{host}"), timeout_seconds=5)
        with pytest.raises(ClickHouseError, match=r"is not ClickHouse's HTTP interface \(status 200\)"):
            await client.run("select 1")


async def test_a_query_that_takes_too_long_is_ended_there(columns: Shipped) -> None:
    client = ClickHouseClient(ClickHouseAddress.of(columns.url), timeout_seconds=1)
    with pytest.raises(ClickHouseError):
        await client.rows("select sum(a.number * b.number % 7) from numbers(10000000) a, numbers(100000) b")
    assert await columns.client.rows("select 1") == [(1,)]


def test_the_copy_has_one_place(tmp_path: Path) -> None:
    both = load_settings(columnar_dir=tmp_path, clickhouse_url="http://localhost:8123/facts")
    with pytest.raises(ConfigurationError, match="both set; the columnar copy has one place: unset one"):
        make_place(both)


@pytest.mark.parametrize(
    ("url", "server", "database", "user", "password"),
    [
        ("http://localhost:8123", "http://localhost:8123", "default", "default", ""),
        ("https://u:p%2Fw@ch.example.com:8443/facts", "https://ch.example.com:8443", "facts", "u", "p/w"),
        ("http://u@[::1]:8123/a%20b/", "http://[::1]:8123", "a b", "u", ""),
    ],
)
def test_the_parts_of_a_url(url: str, server: str, database: str, user: str, password: str) -> None:
    found = ClickHouseAddress.of(load_settings(clickhouse_url=url).clickhouse_url.get_secret_value())  # type: ignore[union-attr]
    assert (found.server, found.database, found.user, found.password) == (server, database, user, password)
    assert password not in repr(found) or not password
