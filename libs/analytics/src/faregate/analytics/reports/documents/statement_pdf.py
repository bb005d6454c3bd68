"""Statement of one owner as PDF."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from faregate.analytics.reports.documents.statement_lines import IStatement, statement_lines, statement_notes
from faregate.core.errors import MissingExtraError
from faregate.core.values.time_zones import time_zone
from faregate.wire import exact_json

__all__ = ["Letterhead", "statement_pdf"]

_PLAIN_COLOR = "#1f3f7a"


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What stands above the lines: title, colour, owner and period, and the time zone of its times."""

    title: str
    owner: str | None
    since: datetime
    until: datetime
    color: str | None = None
    timezone: str = "UTC"


async def statement_pdf(statement: IStatement, head: Letterhead, *, now: datetime) -> bytes:
    """Return the statement on paper: opening balance, every change with its sign, closing balance; amounts are exact.

    Raises:
        MissingExtraError: the typesetter is not installed.
        InvalidError: the time zone is unknown.
    """
    zone = time_zone(head.timezone)

    def shown(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({head.timezone})"

    data = {
        "title": head.title,
        "color": head.color or _PLAIN_COLOR,
        "owner": head.owner or "All wallets",
        "since": shown(head.since),
        "until": shown(head.until),
        "made_at": shown(now),
        "lines": [
            {"name": line.name, "amount": f"{line.amount:,f}", "bold": line.bold} for line in statement_lines(statement)
        ],
        "notes": list(statement_notes(statement)),
    }
    return await asyncio.to_thread(_compiled, exact_json.dumps(data).decode())


def _compiled(data: str) -> bytes:
    try:
        typst: Any = import_module("typst")
    except ImportError:
        raise MissingExtraError("A statement as PDF", "pdf") from None
    made: bytes = typst.compile(_template(), sys_inputs={"data": data})
    return made


@lru_cache(maxsize=1)
def _template() -> bytes:
    return files("faregate.analytics.reports.documents").joinpath("statement.typ").read_bytes()
