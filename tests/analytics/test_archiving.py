"""Archiving and restoring of months: archives are verified, and counts do not change."""

import asyncio
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.question.omissions import Omissions
from faregate.analytics.retention.archiving import EventArchive
from faregate.core.archive.archives import ArchiveBusyError, ArchiveError
from faregate.core.clock import FixedClock, SystemClock
from faregate.core.db.partitions import Month, Partitions
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.usage.meters.meter import Meter
from faregate.wire import exact_json
from support.locks import until_waiting

NOW = SystemClock().now()
RANGE = Question(
    TimeRange((NOW - timedelta(days=60)).replace(hour=0, minute=0, second=0, microsecond=0), NOW + timedelta(days=1))
)
_MONTHS = TimeRange(Month.of(NOW - timedelta(days=20)).start, Month.of(NOW).end)
"""Whole months that hold all events."""


@pytest.fixture
async def archive(lab: Any, tmp_path: Path) -> EventArchive:
    events = [
        {"id": str(n), "user_id": f"u{n % 3}", "service": "chat", "credits": Decimal("0.1") * n, "latency_ms": n, "time": NOW - timedelta(hours=n)}
        for n in range(1, 400)
    ]  # fmt: skip
    await lab.recorder.record(events)
    return made(lab, tmp_path)


def made(lab: Any, directory: Path | None, *, ahead_days: int = 100) -> EventArchive:
    analytics = lab.analytics
    return EventArchive(
        lab.database,
        analytics.partitions(),
        analytics.roller(),
        FixedClock(SystemClock().now() + timedelta(days=ahead_days)),
        directory=directory,
        keep_days=40,
        late_days=35,
    )


async def rows(lab: Any) -> int:
    async with lab.database.transaction() as session:
        return int((await lab.database.rows(session, "select count(*) as n from faregate.usage_event"))[0].n)


async def test_months_are_archived_dropped_and_restored_and_sums_stay(lab: Any, archive: EventArchive) -> None:
    before = await lab.service.metrics(RANGE)
    manifests = await archive.archive()
    assert (await rows(lab), sum(manifest.rows for manifest in manifests)) == (0, 399)
    assert await archive.archive() == []

    for manifest in archive.manifests():
        await archive.restore(manifest.month)
    await lab.analytics.roller().run()
    after = await lab.service.metrics(RANGE)
    assert await rows(lab) == 399
    assert (after.measures, after.unique_users) == (before.measures, before.unique_users)
    assert await archive.due() == []


async def test_unfinished_files_of_a_crash_are_removed_by_a_later_run(lab: Any, tmp_path: Path) -> None:
    archive = made(lab, tmp_path, ahead_days=0)
    old = [tmp_path / f"usage_event_y2026m01.{ending}" for ending in ("csv.gz.new", "json.new")]
    young, other = tmp_path / "usage_event_y2026m02.csv.gz.new", tmp_path / "notes.json.new"
    for path in (*old, young, other):
        path.write_bytes(b"half")
    long_ago = (NOW - timedelta(days=2)).timestamp()
    for path in (*old, other):
        os.utime(path, (long_ago, long_ago))

    await archive.archive()

    assert sorted(tmp_path.iterdir()) == sorted([young, other])


async def test_a_damaged_archive_is_not_loaded(lab: Any, archive: EventArchive, tmp_path: Path) -> None:
    manifest = (await archive.archive())[0]
    (file,) = tmp_path.glob(f"*{manifest.month.replace('-', 'm')}.csv.gz")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArchiveError):
        await archive.restore(manifest.month)

    assert await rows(lab) == 0


async def test_an_archive_is_never_overwritten_by_later_events(lab: Any, archive: EventArchive) -> None:
    await archive.archive()
    await Partitions(lab.database, "usage_event").ensure([Month.of(NOW)])
    await lab.recorder.record([{"user_id": "late", "service": "chat", "time": NOW}])
    with pytest.raises(InvalidError, match="archived"):
        await archive.archive()


async def test_recent_months_are_not_archived(lab: Any, archive: EventArchive, tmp_path: Path) -> None:
    young = made(lab, tmp_path, ahead_days=0)
    with pytest.raises(InvalidError, match="late"):
        await young.archive(keep_days=30)

    assert (await young.archive(), await rows(lab)) == ([], 399)


async def test_without_a_directory_nothing_is_dropped(lab: Any, archive: EventArchive) -> None:
    nowhere = made(lab, None)
    with pytest.raises(ConfigurationError, match="FAREGATE_USAGE_ARCHIVE_DIR"):
        await nowhere.archive()

    assert (nowhere.configured, await rows(lab)) == (False, 399)


async def test_an_answer_that_needs_archived_facts_reports_it(lab: Any, archive: EventArchive) -> None:
    """Answers from sums do not change; those for one user, several filters, exact percentiles and statistics report omissions, as
    do the users of one value over a part of an archived month.
    """
    await archive.archive()

    def asked(**filters: str) -> Question:
        return Question(RANGE.range, Filters(**filters))

    sums, whole = asked(), Question(_MONTHS, Filters(service="chat"))
    parts, kept = await lab.service.breakdown(sums, "service"), await lab.service.metrics(whole)
    assert (parts[0].measures.facts, sums.omissions.archived_before, sums.omissions.note) == (399, None, None)
    assert (kept.unique_users, whole.omissions.archived_before) == (3, None)

    partly = asked(service="chat")
    assert (await lab.service.metrics(partly)).measures.facts == 399
    assert partly.omissions.archived_before is not None

    one_user, exact, single = asked(user_id="u1"), asked(), asked()
    assert (await lab.service.metrics(one_user)).measures.facts == 0
    await lab.service.metrics(exact, exact=True)
    await lab.analytics.patterns().stats(single, amount="requests")
    for question in (one_user, exact, single):
        assert question.omissions.archived_before == Month.of(NOW).end
        assert f"before {Month.of(NOW).end:%Y-%m-%d} are archived" in str(question.omissions.note)


async def test_the_reading_of_a_meter_does_not_change_when_its_events_are_archived(
    lab: Any, archive: EventArchive
) -> None:
    """Sums, counts and users of whole months come from the rollups; the highest quantity reports omissions."""
    catalog, totals = lab.library.usage.meters(), lab.analytics.meter_totals()
    await lab.recorder.record(
        [{"id": f"m{n}", "user_id": f"u{n}", "meter": "seats", "quantity": n, "time": NOW} for n in range(1, 5)]
    )
    await lab.analytics.roller().run()
    read: dict[str, list[Decimal]] = {}
    for phase in range(2):
        for how in ("sum", "count", "unique"):
            await catalog.declare(Meter("seats", "seat", how))
            read.setdefault(how, []).append(await totals.value(Question(_MONTHS), "seats"))
        if phase == 0:
            await archive.archive()
    await catalog.declare(Meter("seats", "seat", "max"))
    highest = Question(RANGE.range)
    await totals.value(highest, "seats")

    assert read == {"sum": [10, 10], "count": [4, 4], "unique": [4, 4]}
    assert highest.omissions.archived_before is not None


async def test_an_incomplete_answer_is_refused_on_request(lab: Any, archive: EventArchive) -> None:
    await archive.archive()
    question = Question(RANGE.range, Filters(user_id="u1"), Omissions(refused=True))

    with pytest.raises(InvalidError, match="archived") as refused:
        await lab.service.metrics(question)
    assert refused.value.param == "startDate"


async def test_restored_facts_are_in_the_answers_again(lab: Any, archive: EventArchive) -> None:
    """Cached answers become invalid: the version of the facts changes after archiving and after restoring."""
    versions = [await lab.service.version()]
    await archive.archive()
    versions.append(await lab.service.version())
    for manifest in archive.manifests():
        await archive.restore(manifest.month)
    versions.append(await lab.service.version())
    question = Question(RANGE.range, Filters(user_id="u1"))

    assert (await lab.service.metrics(question)).measures.facts == 133
    assert question.omissions.archived_before is None
    assert len(set(versions)) == 3


async def test_future_months_and_months_without_events_are_not_reported(lab: Any, archive: EventArchive) -> None:
    """Only months with events can be reported as archived."""
    await archive.archive()
    ahead = Question(TimeRange(NOW + timedelta(days=40), NOW + timedelta(days=70)), Filters(user_id="u1"))
    long_ago = Question(TimeRange(NOW - timedelta(days=400), NOW - timedelta(days=300)), Filters(user_id="u1"))
    for question in (ahead, long_ago):
        await lab.service.metrics(question)
        assert question.omissions.archived_before is None


async def test_a_month_with_an_endless_reader_is_not_archived(
    lab: Any, archive: EventArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reader that does not end, archiving fails with one sentence and changes nothing."""
    monkeypatch.setattr("faregate.core.archive.archives._ATTEMPTS", 2)
    async with lab.database.transaction(read_only=True) as session:
        await lab.database.rows(session, "select 1 from faregate.usage_event limit 1")
        with pytest.raises(ArchiveBusyError, match="being read continuously"):
            await archive.archive()
        assert await rows(lab) == 399

    assert sum(manifest.rows for manifest in await archive.archive()) == 399


async def test_archiving_waits_for_a_reader_that_ends(lab: Any, archive: EventArchive) -> None:
    async with lab.database.transaction(read_only=True) as session:
        await lab.database.rows(session, "select 1 from faregate.usage_event limit 1")
        archiving = asyncio.ensure_future(archive.archive())
        await until_waiting(lab.database)
    manifests = await archiving

    assert sum(manifest.rows for manifest in manifests) == 399


async def test_an_export_reports_archived_events(lab: Any, archive: EventArchive) -> None:
    await archive.archive()
    made = lab.analytics.exports().events(RANGE, Format.JSON)
    document = exact_json.loads(b"".join([chunk async for chunk in made.chunks]))
    refused = Question(RANGE.range, Filters(), Omissions(refused=True))

    assert document["metadata"]["archived_before"] == Month.of(NOW).end.isoformat().replace("+00:00", "Z")
    with pytest.raises(InvalidError, match="archived"):
        await anext(lab.analytics.exports().events(refused, Format.CSV).chunks)
