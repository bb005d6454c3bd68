"""Codec of `timestamptz` that remembers recent values."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import cast

import asyncpg

__all__ = ["decode_timestamp", "encode_timestamp", "use_timestamp_codec"]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SECONDS_PER_DAY = 86_400
_REMEMBERED = 4096
_INFINITE = {2**63 - 1: datetime.max, -(2**63): datetime.min}  # noqa: DTZ901  as the driver reads `infinity`
_ENDS = {252_455_615_999_999_999: 2**63 - 1, -63_082_281_600_000_000: -(2**63)}
"""The largest and the smallest datetime, which the driver stores as `infinity` and `-infinity`."""


async def use_timestamp_codec(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let a connection encode and decode timestamps by this module.

    The rows of a batch share most of their timestamps, such as the time of its transaction. The driver's own codec takes
    0.8 µs to encode one, this one 0.3 if it is remembered and 0.4 if not. The values are the same.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=encode_timestamp, decoder=decode_timestamp, format="tuple"
    )


def encode_timestamp(moment: date) -> tuple[int]:
    """Return the microseconds since 2000, which is what PostgreSQL stores.

    Only times in UTC are remembered: elsewhere, two times in the hour that a clock repeats are equal, but not the same.

    Raises:
        TypeError: not a date or datetime.
    """
    if type(moment) is datetime and moment.tzinfo is UTC:
        return _remembered(moment)
    return _microseconds(_in_utc(moment))


@lru_cache(_REMEMBERED)
def decode_timestamp(stored: tuple[int]) -> datetime:
    """Return the time in UTC; for `infinity` and `-infinity`, the largest or smallest datetime, without a time zone."""
    (microseconds,) = stored
    return _INFINITE.get(microseconds) or _EPOCH + timedelta(0, 0, microseconds)


def _microseconds(moment: datetime) -> tuple[int]:
    since = moment - _EPOCH
    microseconds = (since.days * _SECONDS_PER_DAY + since.seconds) * 1_000_000 + since.microseconds
    return (_ENDS.get(microseconds, microseconds),)


_remembered = lru_cache(_REMEMBERED)(_microseconds)


def _in_utc(moment: date) -> datetime:
    """Return a time in UTC; without a time zone it is in local time, and a date is its midnight."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=UTC) if moment in _INFINITE.values() else moment.astimezone(UTC)
    if isinstance(cast("object", moment), date):
        return datetime.combine(moment, time()).astimezone(UTC)
    raise TypeError(f"expected a datetime.date or datetime.datetime instance, got {type(moment).__name__!r}")
