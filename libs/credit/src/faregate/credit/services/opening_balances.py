"""Import of opening balances from a CSV file; safe to repeat."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.values.moments import moment_in
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.services.credits import CreditService
from faregate.wire.credits import to_micros
from faregate.wire.ids import check_external_id

__all__ = ["OpeningBalance", "OpeningImport", "read_openings"]

_MISTAKES_SHOWN = 20
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class OpeningBalance:
    """One line of the file: owner, amount in micro-credits, expiry, and the key that makes it count once."""

    owner_id: str
    micros: int
    expires_at: datetime | None
    key: str


def read_openings(lines: Iterable[str], *, run: str) -> list[OpeningBalance]:
    """Read a CSV file with the columns owner_id, credits and, optionally, expires_at (ISO 8601, with offset).

    `run` names the import: in one run each owner is granted once, no matter how often the file is sent.

    Raises:
        InvalidError: a column is missing, or lines are not valid; the first twenty are reported with their numbers.
    """
    reader = csv.DictReader(lines)
    missing = {"owner_id", "credits"} - set(reader.fieldnames or ())
    if missing:
        raise InvalidError(f"the file has no column {min(missing)!r}; it requires owner_id and credits")
    found: list[OpeningBalance] = []
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(reader, start=2):
        try:
            opening = _opening(row, run)
            if opening.owner_id in seen:
                raise InvalidError(f"{opening.owner_id!r} is already in line {seen[opening.owner_id]}")
            seen[opening.owner_id] = number
            found.append(opening)
        except InvalidError as error:
            mistakes.append(f"line {number}: {error.detail}")
    if mistakes:
        more = f"\n… and {len(mistakes) - _MISTAKES_SHOWN} more" if len(mistakes) > _MISTAKES_SHOWN else ""
        raise InvalidError("nothing was imported:\n" + "\n".join(mistakes[:_MISTAKES_SHOWN]) + more)
    return found


class OpeningImport:
    """Writes opening balances; owns its transactions, one for every 200 wallets."""

    def __init__(self, database: Database, credit: CreditService) -> None:
        self._database = database
        self._credit = credit

    async def run(self, openings: Sequence[OpeningBalance], *, actor: str) -> int:
        """Grant every opening balance once; return how many this run granted (the others were granted before)."""
        granted = 0
        ordered = sorted(openings, key=lambda opening: opening.owner_id)
        for first in range(0, len(ordered), _CHUNK):
            part = ordered[first : first + _CHUNK]
            granted += await self._database.run(partial(self._chunk, openings=part, actor=actor))
        return granted

    async def _chunk(self, session: AsyncSession, *, openings: Sequence[OpeningBalance], actor: str) -> int:
        await self._credit.ensure_wallets(session, [opening.owner_id for opening in openings])
        granted = 0
        for opening in openings:
            spec = GrantSpec(
                opening.micros,
                GrantSource.OPENING,
                expires_at=opening.expires_at,
                key=opening.key,
                actor=actor,
                reason="opening balance",
            )
            _, _, replayed = await self._credit.grant(session, opening.owner_id, spec)
            granted += not replayed
        return granted


def _opening(row: dict[str, str], run: str) -> OpeningBalance:
    owner_id = check_external_id((row["owner_id"] or "").strip(), param="owner_id")
    try:
        credits = Decimal((row["credits"] or "").strip())
    except InvalidOperation:
        raise InvalidError(f"credits {row['credits']!r} is not a number; write it as 12.5") from None
    micros = to_micros(credits)
    if micros <= 0:
        raise InvalidError(f"credits must be more than 0, not {credits}")
    return OpeningBalance(owner_id, micros, _moment(row.get("expires_at")), f"opening:{run}")


def _moment(text: str | None) -> datetime | None:
    if not (text or "").strip():
        return None
    return moment_in(str(text), param="expires_at")
