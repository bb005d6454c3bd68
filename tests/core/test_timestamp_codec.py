"""Codec of timestamps on the connections of `Database`."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from faregate.core.db.database import Database
from faregate.core.db.timestamp_codec import encode_timestamp

_BERLIN = ZoneInfo("Europe/Berlin")
_MOMENTS = [
    datetime(2026, 11, 29, 12, 30, 1, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 7, 1, 9, tzinfo=timezone(timedelta(hours=-7))),
    datetime(2026, 10, 25, 2, 30, tzinfo=_BERLIN),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=_BERLIN),
    datetime(2026, 7, 1, 9),
    date(2026, 7, 1),
    datetime.max,  # noqa: DTZ901
    datetime.min,  # noqa: DTZ901
]


async def test_timestamps_are_encoded_and_decoded_as_by_the_driver_alone(database: Database, database_url: str) -> None:
    """Each value is stored and read as the driver stores and reads it without this codec, alone and in an array."""
    one, many = "select cast(:given as timestamptz) as read", "select unnest(cast(:given as timestamptz[])) as read"
    driver = await asyncpg.connect(database_url)
    try:
        expected = [await driver.fetchval("select $1::timestamptz", moment) for moment in _MOMENTS]
    finally:
        await driver.close()
    async with database.transaction(read_only=True) as session:
        alone = [(await database.rows(session, one, given=moment))[0].read for moment in _MOMENTS]
        together = [row.read for row in await database.rows(session, many, given=_MOMENTS)]
    assert alone == expected
    assert together == expected
    assert [moment.tzinfo for moment in alone] == [moment.tzinfo for moment in expected]


def test_the_two_times_of_a_repeated_hour_stay_apart() -> None:
    """2:30 comes twice in the night in which the clocks go back; equal to Python, they are an hour apart here."""
    first, second = datetime(2026, 10, 25, 2, 30, tzinfo=_BERLIN), datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=_BERLIN)
    assert first == second
    (before,), (after,) = encode_timestamp(first), encode_timestamp(second)
    assert after - before == 3_600_000_000


async def test_what_is_no_time_is_refused(database: Database) -> None:
    """The driver names the parameter."""
    async with database.transaction(read_only=True) as session:
        await database.rows(session, "select 1")
        with pytest.raises(asyncpg.DataError, match=r"\$1.*datetime"):
            await database.rows(session, "select cast(:given as timestamptz)", given="2026-07-01")
