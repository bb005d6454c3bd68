"""A process that copies facts and kills itself at a named place: `killed_copy.py URL PLACE AT`,
where PLACE is a folder or the URL of ClickHouse."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analytics.conftest import lab_of

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.place import ClickHousePlace, ClickHouseStore
from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.folder_place import FolderPlace
from faregate.analytics.columnar.interfaces import ICopyPlace
from faregate.analytics.columnar.registry import Registry
from faregate.analytics.columnar.writer import FileWriter, RowsFile
from faregate.core.settings import load_settings

PLACES: dict[str, tuple[type, str, bool]] = {
    "begun": (RowsFile, "close", False),
    "written": (StoreFolder, "publish", False),
    "published": (StoreFolder, "publish", True),
    "registered": (Registry, "advance", True),
    "merged": (FileWriter, "merge", True),
    "to be sent": (ClickHouseStore, "write", False),
    "inserted": (ClickHouseStore, "_checked", False),
    "sent": (ClickHouseStore, "write", True),
    "merged there": (ClickHouseStore, "merge", True),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def dies(*args: Any, **more: Any) -> Any:
        if not after:
            die()
        result = call(*args, **more)
        if not asyncio.iscoroutine(result):
            die()
        return _dies_after(result)

    return dies


async def _dies_after(result: Any) -> None:
    await result
    die()


def place_of(place: str) -> ICopyPlace:
    if place.startswith("http"):
        return ClickHousePlace(ClickHouseAddress.of(place))
    return FolderPlace(Path(place))


async def copy(url: str, place: str) -> None:
    async with lab_of(load_settings(database_url=url)) as lab:
        limits = CopyLimits(fewest_facts=1, rows_bytes=2000, kept_seconds=0)
        await ColumnarCopier(lab.database, Registry(lab.database), place_of(place), limits).run()


if __name__ == "__main__":
    owner, name, after = PLACES[sys.argv[3]]
    setattr(owner, name, deadly(getattr(owner, name), after=after))
    asyncio.run(copy(sys.argv[1], sys.argv[2]))
