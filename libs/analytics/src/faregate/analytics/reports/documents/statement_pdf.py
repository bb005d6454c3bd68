"""Statement of one owner as PDF."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from faregate.core.errors import MissingExtraError
from faregate.core.values.time_zones import time_zone
from faregate.gateway.schemas.bookkeeping import StatementAnswer
from faregate.wire import exact_json

__all__ = ["Letterhead", "statement_pdf"]

_PLAIN_COLOR = "#1f3f7a"
_LINES = {
    "used": ("Used", -1),
    "expired": ("Expired", -1),
    "voided": ("Voided", -1),
    "refunded": ("Refunded", 1),
    "adjusted": ("Adjusted", 1),
    "charged_back": ("Charged back", -1),
}
"""The lines between grants and the closing balance, and the sign with which each is added."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The title and the colour of the document, and the time zone of its times."""

    title: str
    color: str | None = None
    timezone: str = "UTC"


async def statement_pdf(statement: StatementAnswer, head: Letterhead, *, now: datetime) -> bytes:
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
        "owner": statement.owner_id or "All wallets",
        "since": shown(statement.since),
        "until": shown(statement.until),
        "made_at": shown(now),
        "lines": list(_lines(statement)),
        "notes": list(_notes(statement)),
    }
    return await asyncio.to_thread(_compiled, exact_json.dumps(data).decode())


def _lines(found: StatementAnswer) -> Iterator[dict[str, Any]]:
    yield _line("Opening balance", found.opening, bold=True)
    for source, amount in found.granted.items():
        yield _line(f"Granted ({source})", amount)
    for field, (name, sign) in _LINES.items():
        change: Decimal = getattr(found, field)
        if change:
            yield _line(name, sign * change)
    yield _line("Closing balance", found.closing, bold=True)


def _line(name: str, amount: Decimal, *, bold: bool = False) -> dict[str, Any]:
    return {"name": name, "amount": f"{amount:,f}", "bold": bold}


def _notes(found: StatementAnswer) -> Iterator[str]:
    if found.used_on_limit:
        yield f"Of the used credits {found.used_on_limit:,f} were used on the credit limit."
    if found.shortfall:
        yield f"Uses cost {found.shortfall:,f} credits more than was there; these were not charged."


def _compiled(data: str) -> bytes:
    try:
        typst: Any = import_module("typst")
    except ImportError:
        raise MissingExtraError("A statement as PDF", "pdf") from None
    made: bytes = typst.compile(_template(), sys_inputs={"data": data})
    return made


@lru_cache(maxsize=1)
def _template() -> bytes:
    return files("faregate.gateway.documents").joinpath("statement.typ").read_bytes()
