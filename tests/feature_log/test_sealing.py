"""Encryption at rest: what is stored tells nothing, cannot be moved, and changes its key under load."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import pytest

from faregate.core.clock import FixedClock
from faregate.core.database import Database
from faregate.core.settings import load_settings
from faregate.core.subjects import Subjects
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.errors import LogKeyError, LogSealedError
from faregate.feature_log.sealing import LogKey, Sealer, parse_keys
from faregate.feature_log.values import FeatureNames, LogEntry, LogFilter, Recorded

OLD, NEW = ("old:" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def container_with(keys: str | None, database: Database, subjects: Subjects, clock: FixedClock) -> FeatureLogContainer:
    settings = load_settings(database_url=database.url, log_keys=keys)
    return FeatureLogContainer(settings=settings, database=database, subjects=subjects, clock=clock)


def entry(number: int, **more: Any) -> LogEntry:
    facts: dict[str, Any] = {"payload": {"prompt": "canary-text"}, "user_email": "Ada@Example.com", **more}
    return LogEntry("ada", FeatureNames(None, "chat"), "POST", 200, "success", id=str(number), **facts)


async def stored(database: Database) -> list[Any]:
    async with database.transaction() as session:
        return list(await database.rows(session, "select * from faregate.feature_log order by logged_at, log_id"))


def test_a_cell_opens_only_as_what_it_was_sealed_as() -> None:
    sealer = Sealer([LogKey("a", bytes(32))])
    row, other = uuid4(), uuid4()
    sealed = sealer.seal("payload", row, b"text")
    assert sealed is not None

    assert sealer.open("payload", row, "a", sealed) == b"text"
    assert sealer.seal("payload", row, b"text") != sealed
    for column, row_id, cell in [
        ("response", row, sealed),
        ("payload", other, sealed),
        ("payload", row, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        ("payload", row, b""),
    ]:
        with pytest.raises(LogSealedError):
            sealer.open(column, row_id, "a", cell)
    with pytest.raises(LogSealedError, match="put it back"):
        Sealer([LogKey("b", bytes(32))]).open("payload", row, "a", sealed)


@pytest.mark.parametrize(
    "text", ["abc", "a:short", "a:" + "!" * 44, ":" + base64.b64encode(bytes(32)).decode(), OLD + "," + OLD]
)
def test_wrong_keys_are_told_and_never_repeated(text: str) -> None:
    with pytest.raises(LogKeyError, match="FAREGATE_LOG_KEYS") as told:
        parse_keys(text)

    assert text.partition(":")[2].partition(",")[0] not in told.value.detail or not text.partition(":")[2]


async def test_bodies_and_e_mails_are_sealed_and_addresses_stay_findable(
    database: Database, subjects: Subjects, clock: FixedClock
) -> None:
    container = container_with(OLD, database, subjects, clock)
    (recorded,) = await container.service().record([entry(1)])
    assert isinstance(recorded, Recorded)
    (row,) = await stored(database)
    found = await container.service().find(LogFilter(user_email=" ada@EXAMPLE.com"))

    assert row.key_id == "old"
    assert b"canary" not in row.payload
    assert b"example" not in row.email
    assert [log.user_email for log in found.logs] == ["ada@example.com"]
    assert (await container.service().get(recorded.id)).bodies["payload"] == {"prompt": "canary-text"}


async def test_rotation_seals_everything_again_while_logs_come_in(
    database: Database, subjects: Subjects, clock: FixedClock
) -> None:
    """Plain rows too; afterwards the old key may go. Addresses are found before, during and after."""
    new = NEW.replace("old", "new")
    plain = container_with(None, database, subjects, clock)
    old = container_with(OLD, database, subjects, clock)
    both = container_with(f"{new},{OLD}", database, subjects, clock)
    await plain.service().record([entry(n) for n in range(200)])
    await old.service().record([entry(n) for n in range(200, 900)])

    async def write() -> None:
        for number in range(10):
            await both.service().record([entry(1000 + number * 10 + n) for n in range(10)])

    rotated, _ = await asyncio.gather(both.rotation().rotate(), write())
    only_new = container_with(new, database, subjects, clock)
    page = await only_new.service().find(LogFilter(user_email="ada@example.com"), limit=1000)

    assert rotated == 900
    assert {row.key_id for row in await stored(database)} == {"new"}
    assert len(page.logs) == 1000
    assert (await only_new.service().get(page.logs[-1].id)).bodies["payload"] == {"prompt": "canary-text"}
    assert await both.rotation().rotate() == 0
