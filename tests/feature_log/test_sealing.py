"""Encryption at rest: cells reveal nothing, cannot be moved, and are rotated under load."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import pytest

from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.privacy.key_ring import KeyRing, RingKey, SealedError
from faregate.core.settings import load_settings
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


def test_a_cell_is_decrypted_only_in_its_own_place() -> None:
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
    with pytest.raises(LogSealedError, match="add it again"):
        Sealer([LogKey("b", bytes(32))]).open("payload", row, "a", sealed)


@pytest.mark.parametrize(
    "text", ["abc", "a:short", "a:" + "!" * 44, ":" + base64.b64encode(bytes(32)).decode(), OLD + "," + OLD]
)
def test_invalid_keys_are_reported_without_repeating_them(text: str) -> None:
    with pytest.raises(LogKeyError, match="FAREGATE_LOG_KEYS") as told:
        parse_keys(text)

    assert text.partition(":")[2].partition(",")[0] not in told.value.detail or not text.partition(":")[2]


async def test_bodies_and_e_mails_are_encrypted_and_addresses_are_searchable(
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


async def test_a_rotation_encrypts_everything_again_while_logs_arrive(
    database: Database, subjects: Subjects, clock: FixedClock
) -> None:
    """Plain rows too; afterwards the old key may be removed. Addresses are found before, during and after."""
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


async def test_only_the_path_of_an_endpoint_is_stored_in_clear(
    database: Database, subjects: Subjects, clock: FixedClock
) -> None:
    """With keys the query string is part of the encrypted query; the path stays readable for analytics, and a rotation repairs
    old rows.
    """
    where = "/api/chat?who=canary-person&page=2#canary-part"
    plain = container_with(None, database, subjects, clock)
    await plain.service().record([entry(1, endpoint=where, query={"page": 1})])
    before = (await stored(database))[0]
    keyed = container_with(OLD, database, subjects, clock)
    await keyed.rotation().rotate()
    again = await keyed.rotation().rotate()
    await keyed.service().record([entry(2, endpoint=where)])
    rows = await stored(database)
    shown = [await keyed.service().get(row.log_id) for row in rows]

    assert before.endpoint == where
    assert b"canary" not in repr([tuple(row) for row in rows]).encode()
    assert again == 0
    assert [log.endpoint for log in shown] == ["/api/chat"] * 2
    assert sorted(str(log.bodies["query"]) for log in shown) == sorted(
        str(query)
        for query in (
            {"who": "canary-person", "page": 1, "#": "canary-part"},
            {"who": "canary-person", "page": "2", "#": "canary-part"},
        )
    )


def test_a_message_is_decrypted_under_any_key_of_the_ring_and_for_its_queue_only() -> None:
    old, new = RingKey("old", bytes(32)), RingKey("new", bytes([1]) * 32)
    sealed = KeyRing([old]).seal_message("logs", b'[{"payload": "canary"}]')
    forged = sealed.replace(b'"old"', b'"new"')

    assert b"canary" not in sealed
    assert KeyRing([new, old]).open_message("logs", sealed) == b'[{"payload": "canary"}]'
    assert KeyRing([new]).open_message("logs", b'{"payload": "plain"}') == b'{"payload": "plain"}'
    for ring, queue, body in [
        (KeyRing([new]), "logs", sealed),
        (KeyRing([new, old]), "others", sealed),
        (KeyRing([new, old]), "logs", forged),
        (KeyRing([old]), "logs", b'{"faregate_sealed":"old"}'),
        (KeyRing([old]), "logs", b'{"faregate_sealed":"old","data":"?"}'),
    ]:
        with pytest.raises(SealedError):
            ring.open_message(queue, body)


@pytest.mark.parametrize("text", ["whsec_abc", "", "sealed", "ä"])
def test_an_encrypted_text_names_its_key_and_is_decrypted_in_its_place_only(text: str) -> None:
    ring = KeyRing([RingKey("a:b", bytes(32))])
    sealed = ring.seal_text("place", text)

    assert sealed.startswith("sealed:a:b:")
    assert (ring.open_text("place", sealed), KeyRing().open_text("place", text)) == (text, text)
    assert (ring.is_current(sealed), ring.is_current(text), KeyRing().is_current(text)) == (True, False, True)
    with pytest.raises(SealedError):
        ring.open_text("elsewhere", sealed)
