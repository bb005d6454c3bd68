"""Monthly partitions and their archives, on a table created by the test."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faregate.core.archive.archives import ArchiveError, Archives
from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.core.errors import InvalidError, NotFoundError

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
LATER = datetime(2027, 1, 1, tzinfo=UTC)

ODD_TEXTS = ["plain", "", None, 'quoted "twice"', "two\nlines", "tab\tand,comma", "\\N", "\\.", "grün ☂", "a\r\nb"]


@pytest.fixture
async def partitions(database: Database) -> Partitions:
    async with database.transaction() as session:
        await database.rows(
            session,
            "create table faregate.fact (fact_id int, at timestamptz, note text, data bytea, primary key (at, fact_id))"
            " partition by range (at)",
        )
    return Partitions(database, "fact")


@pytest.fixture
def archives(database: Database, partitions: Partitions, tmp_path: Path) -> Archives:
    return Archives(database, partitions, tmp_path / "archive", FixedClock(datetime(2026, 12, 1, tzinfo=UTC)))


async def _fill(database: Database, month: Month) -> None:
    async with database.transaction() as session:
        await database.rows(
            session,
            "insert into faregate.fact select n, cast(:start as timestamptz), note, cast(note as bytea)"
            " from unnest(cast(:notes as text[])) with ordinality as t (note, n)",
            start=month.start,
            notes=[note and note.replace("\\", "/") for note in ODD_TEXTS],
        )


async def _rows(database: Database) -> list[tuple[object, ...]]:
    async with database.transaction() as session:
        return [tuple(row) for row in await database.rows(session, "select * from faregate.fact order by at, fact_id")]


def test_months_have_bounds_and_neighbours() -> None:
    december = Month.parse("2026-12")

    assert (december.start, december.end) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert months_between(OCTOBER, december.after(1)) == [OCTOBER, NOVEMBER, december, Month(2027, 1)]
    assert Month.of(datetime.fromisoformat("2026-12-01T00:30:00+05:30")) == NOVEMBER
    assert str(Month(2027, 1).after(-3)) == "2026-10"


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "0000-01", "11/2026", ""])
def test_a_text_that_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="2026-11"):
        Month.parse(text)


async def test_concurrent_callers_create_partitions_once(database: Database, partitions: Partitions) -> None:
    others = [Partitions(database, "fact") for _ in range(4)]
    await asyncio.gather(*(other.ensure([OCTOBER, NOVEMBER]) for other in [partitions, *others]))
    async with database.transaction() as session:
        assert list(await partitions.attached(session)) == [OCTOBER, NOVEMBER]
        assert list(await partitions.detached(session)) == []


async def test_an_archived_month_is_restored_unchanged(
    database: Database, partitions: Partitions, archives: Archives
) -> None:
    await partitions.ensure([OCTOBER, NOVEMBER])
    await _fill(database, OCTOBER)
    await _fill(database, NOVEMBER)
    before = await _rows(database)
    manifest = await archives.retire(OCTOBER)
    left = await _rows(database)
    await archives.restore(OCTOBER, until=LATER)

    assert (manifest.rows, manifest.columns) == (len(ODD_TEXTS), ["fact_id", "at", "note", "data"])
    assert len(left) == len(before) - len(ODD_TEXTS)
    assert await _rows(database) == before
    assert [m.restored_until for m in archives.manifests()] == [LATER]
    with pytest.raises(InvalidError, match="holds rows already"):
        await archives.restore(OCTOBER, until=LATER)
    with pytest.raises(NotFoundError):
        await archives.restore(Month(2020, 1), until=LATER)


async def test_a_detached_month_is_found_and_archived_later(
    database: Database, partitions: Partitions, archives: Archives
) -> None:
    """A crash between detaching and dropping loses nothing."""
    await partitions.ensure([OCTOBER])
    await _fill(database, OCTOBER)
    async with database.transaction() as session:
        await partitions.detach(session, OCTOBER)
    async with database.transaction() as session:
        assert list(await partitions.detached(session)) == [OCTOBER]

    assert (await archives.retire(OCTOBER)).rows == len(ODD_TEXTS)
    async with database.transaction() as session:
        assert list(await partitions.detached(session)) == []


async def test_a_damaged_archive_is_reported_and_nothing_is_dropped_or_loaded(
    database: Database, partitions: Partitions, archives: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    await partitions.ensure([OCTOBER])
    await _fill(database, OCTOBER)
    monkeypatch.setattr("faregate.core.archive.store.content_of", lambda _path: (0, "other"))
    with pytest.raises(ArchiveError, match="0 rows instead of"):
        await archives.retire(OCTOBER)
    monkeypatch.undo()
    async with database.transaction() as session:
        kept = list(await partitions.detached(session))
    await archives.retire(OCTOBER)
    file = next(archives.directory.glob("*.csv.gz"))
    file.write_bytes(file.read_bytes()[:-1])

    assert kept == [OCTOBER]
    with pytest.raises(ArchiveError, match="differs from its manifest"):
        await archives.restore(OCTOBER, until=LATER)


async def test_an_amended_archive_is_verifiable_again(
    database: Database, partitions: Partitions, archives: Archives
) -> None:
    """An erasure also removes data from archives; all other rows stay unchanged."""
    await partitions.ensure([OCTOBER])
    await _fill(database, OCTOBER)
    before = await _rows(database)
    first = await archives.retire(OCTOBER)
    statement = "update {rows} set note = null where fact_id = :number returning fact_id"
    untouched = await archives.amend(OCTOBER, statement, number=99)
    same = archives.manifest(OCTOBER)
    changed = await archives.amend(OCTOBER, statement, number=1)
    await archives.restore(OCTOBER, until=LATER)

    assert (untouched, same, changed) == (0, first, 1)
    assert sorted(await _rows(database), key=str) == sorted(
        [(1, *before[0][1:2], None, *before[0][3:]), *before[1:]], key=str
    )


async def test_rows_that_left_the_table_are_read_and_changed(
    database: Database, partitions: Partitions, archives: Archives
) -> None:
    """Archived, or detached by a run that was interrupted; rows of a restored month are in the table."""
    months = [OCTOBER, NOVEMBER, Month(2026, 12)]
    await partitions.ensure(months)
    for month in months:
        await _fill(database, month)
    for month in (OCTOBER, NOVEMBER):
        await archives.retire(month)
    await archives.restore(NOVEMBER, until=LATER)
    async with database.transaction() as session:
        await partitions.detach(session, months[-1])
    query = "select at from {rows} where note = cast(:note as text)"
    found = [row.at async for row in archives.select_all(query, note="plain")]
    changed = await archives.amend_all("update {rows} set note = '' where note = :note returning 1", note="plain")

    assert sorted(found) == [OCTOBER.start, months[-1].start]
    assert changed == 3
    assert [row async for row in archives.select_all(query, note="plain")] == []


async def test_a_crash_between_writing_the_two_files_of_an_amended_archive_is_repaired(
    database: Database, partitions: Partitions, archives: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    await partitions.ensure([OCTOBER])
    await _fill(database, OCTOBER)
    await archives.retire(OCTOBER)
    await archives.restore(OCTOBER, until=LATER)
    replaced, replace = list[str](), Path.replace

    def dying(self: Path, target: Path) -> Path:
        if replaced:
            raise OSError("killed")
        replaced.append(str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(OSError, match="killed"):
        await archives.amend(OCTOBER, "update {rows} set note = '' where fact_id = 1 returning 1")
    monkeypatch.undo()
    manifest = archives.manifest(OCTOBER)

    assert replaced[0].endswith(".csv.gz")
    assert manifest is not None
    assert manifest.restored_until == LATER
    archives.check(manifest)


async def test_rows_are_not_archived_or_restored_while_they_are_being_changed(
    database: Database, partitions: Partitions, archives: Archives
) -> None:
    await partitions.ensure([OCTOBER, NOVEMBER])
    await _fill(database, OCTOBER)
    await _fill(database, NOVEMBER)
    await archives.retire(OCTOBER)
    async with database.transaction() as session:
        await archives.hold(session)
        moving = [
            asyncio.ensure_future(move) for move in (archives.retire(NOVEMBER), archives.restore(OCTOBER, until=LATER))
        ]
        done, _ = await asyncio.wait(moving, timeout=0.5)
        held = len(done)
        await database.rows(session, "update faregate.fact set note = '-'")
        await archives.amend_all("update {rows} set note = '-' returning 1")
    await asyncio.gather(*moving)
    await archives.restore(NOVEMBER, until=LATER)

    assert held == 0
    assert {row[2] for row in await _rows(database)} == {"-"}
