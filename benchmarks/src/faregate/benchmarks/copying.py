"""Raw COPY of the recorded events, the reference of their recording."""

import io

from faregate.core.clock import SystemClock
from faregate.core.db.database import Database

__all__ = ["copy_seconds"]

_CLOCK = SystemClock()


async def copy_seconds(database: Database) -> float:
    """Time raw COPY of the same rows into a table of the same form with the same indexes."""
    connection = await database.connect()
    try:
        await connection.execute("set statement_timeout = 0")
        rows = io.BytesIO()
        await connection.copy_from_query("select * from faregate.usage_event", output=rows, format="csv")
        await connection.execute(
            "create table raw_copy (like faregate.usage_event including all) partition by range (time)"
        )
        await connection.execute("create table raw_copy_1 partition of raw_copy default")
        rows.seek(0)
        began = _CLOCK.monotonic()
        await connection.copy_to_table("raw_copy", source=rows, format="csv")
        return _CLOCK.monotonic() - began
    finally:
        await connection.close()
