"""Repository of the ledger: reads wallets into a book, writes it back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import COPIED_FROM, Database
from faregate.core.db.subjects import Subject
from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.chain import GENESIS
from faregate.credit.ledger.limits import EVERY_MEMBER, LimitPeriod, LimitState
from faregate.credit.ledger.reasons import operation_digest
from faregate.credit.ledger.states import (
    ChargeState,
    ChargeStatus,
    GrantSlice,
    GrantState,
    GrantUse,
    Transfer,
    WalletState,
)
from faregate.credit.storage import sql
from faregate.credit.storage.row_reader import (
    book_of,
    charge_of,
    grant_of,
    limit_of,
    slice_of,
    take_grants,
    transfer_of,
)
from faregate.credit.storage.row_writer import COLUMNS, arrays_of, rows_of

__all__ = ["LedgerRepository"]

_SETTLED = "wcg"
"""The kinds of rows that a batch of settlements writes by INSERT: wallets, charges and grants (the letters of `sql.WRITES`)."""

_GRANTS_AT_FIRST = 32
"""How many grants per wallet a settlement reads first; if they do not cover the amount, all are read."""


class LedgerRepository:
    """Reads and writes wallets, charges, grants and transfers in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def warm_up(self, session: AsyncSession) -> None:
        """Run the statements of a settlement without any rows: they are prepared on this connection, and nothing changes."""
        run = self._database.rows
        await run(session, sql.READ_STARTED, keys=[])
        await run(session, sql.LOCK_WALLETS, ids=[], now=None)
        await run(session, sql.READ_CHANGED_CHARGES, keys=[], ends=[], holds=[])
        await run(session, sql.FIRST_GRANTS, ids=[], limit=_GRANTS_AT_FIRST)
        nothing: dict[str, list[Any]] = {f"{part}_{name}": [] for part in _SETTLED for name in COLUMNS[part]}
        await run(session, _write_statement(_SETTLED), **nothing)
        for part, table in sql.COPIES.items():
            await self._database.copy(session, table, COLUMNS[part], [])

    async def add_wallets(self, session: AsyncSession, wallet_ids: Iterable[int]) -> list[int]:
        """Create the missing ones of these wallets; return the ids of those created by this call."""
        rows = await self._database.rows(session, sql.ADD_WALLETS, ids=sorted(wallet_ids), genesis=GENESIS)
        return [row.wallet_id for row in rows]

    async def lock(self, session: AsyncSession, wallet_ids: Iterable[int], *, now: datetime | None) -> Book:
        """Lock wallets in ascending order and return a book of them; if `now` is None, the database's clock is used."""
        ids = sorted(set(wallet_ids))
        return book_of(await self._database.rows(session, sql.LOCK_WALLETS, ids=ids, now=now))

    async def read(self, session: AsyncSession, wallet_ids: Iterable[int], *, now: datetime | None) -> Book:
        """Return a book of wallets as stored, without locking."""
        return book_of(await self._database.rows(session, sql.READ_WALLETS, ids=sorted(set(wallet_ids)), now=now))

    async def charges(self, session: AsyncSession, usage_keys: Iterable[str]) -> Mapping[str, ChargeState]:
        """Return the known ones of these uses."""
        rows = await self._database.rows(session, sql.READ_CHARGES, keys=sorted(set(usage_keys)))
        return _by_key(rows)

    async def started(
        self, session: AsyncSession, usage_keys: Iterable[str]
    ) -> list[tuple[ChargeState, str, str | None]]:
        """Return the known ones of these uses, each with its user and its organisation (as owner ids)."""
        rows = await self._database.rows(session, sql.READ_STARTED, keys=sorted(set(usage_keys)))
        return [(charge_of(columns), user_id, organization) for *columns, user_id, organization in rows]

    async def charges_again(
        self, session: AsyncSession, usage_keys: Iterable[str], seen: Mapping[str, ChargeState]
    ) -> Mapping[str, ChargeState]:
        """Return the known ones of these uses; those in `seen`, read before the lock, are reused if unchanged."""
        keys = sorted(set(usage_keys))
        opened = {key: seen[key] for key in keys if key in seen and seen[key].status is ChargeStatus.OPEN}
        ends = [opened[key].expires_at if key in opened else None for key in keys]
        holds = [opened[key].hold if key in opened else None for key in keys]
        rows = await self._database.rows(session, sql.READ_CHANGED_CHARGES, keys=keys, ends=ends, holds=holds)
        return {**opened, **_by_key(rows)}

    async def due_charges(
        self, session: AsyncSession, wallet_ids: Iterable[int], *, until: datetime
    ) -> Mapping[str, ChargeState]:
        """Return, for each wallet, its open charges that end by `until` and the next one after."""
        rows = await self._database.rows(session, sql.DUE_CHARGES, ids=sorted(wallet_ids), until=until)
        return _by_key(rows)

    async def due_wallets(self, session: AsyncSession, *, now: datetime | None, limit: int) -> list[int]:
        """Return the ids of wallets that time has changed, longest overdue first, without locking."""
        rows = await self._database.rows(session, sql.DUE_WALLETS, now=now, limit=limit)
        return [row.wallet_id for row in rows]

    async def load_grants(self, session: AsyncSession, book: Book, wallet_ids: Iterable[int]) -> None:
        """Add all live, scheduled and recurring grants of these wallets to the book."""
        ids = sorted(wallet_ids)
        if not ids:
            return
        take_grants(book, await self._database.rows(session, sql.ALL_GRANTS, ids=ids))
        for wallet_id in ids:
            book.wallets[wallet_id].all_grants = True

    async def load_grants_for(self, session: AsyncSession, book: Book, needs: Mapping[int, int]) -> None:
        """Add enough grants to the book to cover `needs` (wallet id → amount), in burn order."""
        wanted = {wallet_id: need for wallet_id, need in needs.items() if not book.wallets[wallet_id].all_grants}
        if not wanted:
            return
        rows = await self._database.rows(session, sql.FIRST_GRANTS, ids=sorted(wanted), limit=_GRANTS_AT_FIRST)
        take_grants(book, rows)
        await self.load_grants(session, book, [w for w, need in wanted.items() if not _covered(book.wallets[w], need)])

    async def load_grants_by_key(self, session: AsyncSession, book: Book, keys: Sequence[tuple[int, str]]) -> None:
        """Add the grants with these keys (wallet id, key) to the book, used ones included."""
        ids, names = [wallet_id for wallet_id, _ in keys], [key for _, key in keys]
        take_grants(book, await self._database.rows(session, sql.GRANTS_BY_KEY, ids=ids, keys=names))

    async def load_grants_by_id(self, session: AsyncSession, book: Book, grant_ids: Iterable[UUID]) -> None:
        """Add these grants to the book, if it contains their wallets."""
        take_grants(book, await self._database.rows(session, sql.GRANTS_BY_ID, ids=sorted(set(grant_ids))))

    async def grants(
        self, session: AsyncSession, wallet_id: int, *, live: bool = True, limit: int = 1000
    ) -> list[GrantState]:
        """Return a wallet's grants, oldest first; `live` omits used, expired and voided ones."""
        rows = await self._database.rows(session, sql.LIST_GRANTS, wallet_id=wallet_id, live=live, limit=limit)
        return [grant_of(row) for row in rows]

    async def grants_by_prefix(self, session: AsyncSession, wallet_id: int, prefix: str) -> list[GrantState]:
        """Return the grants whose key starts with `prefix`, newest first (at most 1,000)."""
        rows = await self._database.rows(session, sql.GRANTS_BY_PREFIX, wallet_id=wallet_id, prefix=prefix)
        return [grant_of(row) for row in rows]

    async def grant_use(
        self, session: AsyncSession, wallet_id: int, grant_ids: Sequence[UUID], *, since: datetime
    ) -> Mapping[UUID, GrantUse]:
        """Return the use of these grants since a moment."""
        rows = await self._database.rows(session, sql.GRANT_USE, wallet_id=wallet_id, ids=list(grant_ids), since=since)
        return {
            UUID(bytes=row.grant_id.bytes): GrantUse(
                spent=row.spent, left=row.remaining, rolled_over=max(0, row.remaining - row.moved - row.lapsed)
            )
            for row in rows
        }

    async def repaid_by(
        self,
        session: AsyncSession,
        wallet_id: int,
        grant_ids: Sequence[UUID],
        actors: Iterable[str],
        *,
        since: datetime,
    ) -> int:
        """Return how much of the credit limit was repaid by filling these grants since a moment."""
        ids, names = list(grant_ids), sorted(set(actors))
        ((repaid,),) = await self._database.rows(
            session, sql.GRANT_REPAID, wallet_id=wallet_id, ids=ids, actors=names, since=since
        )
        return int(repaid)

    async def transfers(
        self, session: AsyncSession, wallet_id: int, *, before: int | None, limit: int
    ) -> list[Transfer]:
        """Return a wallet's transfers, newest first, below sequence number `before`."""
        rows = await self._database.rows(
            session,
            sql.LIST_TRANSFERS,
            wallet_id=wallet_id,
            before=before if before is not None else 2**62,
            limit=limit,
        )
        return [transfer_of(row) for row in rows]

    async def transfers_of(self, session: AsyncSession, charge: ChargeState) -> list[Transfer]:
        """Return the transfers of one charge and their corrections, in order."""
        if charge.first_seq is None:
            return []
        rows = await self._database.rows(
            session,
            sql.TRANSFERS_OF_CHARGE,
            wallet_id=charge.wallet_id,
            first_seq=charge.first_seq,
            usage_key=charge.usage_key,
        )
        return [transfer_of(row) for row in rows]

    async def transfer(self, session: AsyncSession, wallet_id: int, seq: int) -> Transfer | None:
        """Return one transfer."""
        rows = await self._database.rows(session, sql.TRANSFER, wallet_id=wallet_id, seq=seq)
        return transfer_of(rows[0]) if rows else None

    async def corrections(self, session: AsyncSession, wallet_id: int, seq: int) -> list[Transfer]:
        """Return the transfers that correct this one, in order."""
        rows = await self._database.rows(session, sql.CORRECTIONS, wallet_id=wallet_id, seq=seq)
        return [transfer_of(row) for row in rows]

    async def operation(self, session: AsyncSession, wallet_id: int, key: str) -> list[Transfer]:
        """Return the transfers of one operation key, in order."""
        keys = [key, operation_digest(key)]
        rows = await self._database.rows(session, sql.OPERATION, wallet_id=wallet_id, keys=keys)
        return [transfer_of(row) for row in rows]

    async def slices(self, session: AsyncSession, wallet_id: int, seqs: Iterable[int]) -> list[GrantSlice]:
        """Return the slices of these transfers: what they added to grants and took from them."""
        rows = await self._database.rows(session, sql.SLICES, wallet_id=wallet_id, seqs=list(seqs))
        return [slice_of(row) for row in rows]

    async def filled_by(self, session: AsyncSession, wallet_id: int, grant_id: UUID) -> int | None:
        """Return the sequence number of the transfer that filled a grant, the last one if it was renewed."""
        rows = await self._database.rows(session, sql.FILLED_BY, wallet_id=wallet_id, grant_id=grant_id)
        return rows[0].seq if rows else None

    async def has_wallet(self, session: AsyncSession, wallet_id: int) -> bool:
        """Tell whether a subject has a wallet; a subject that appears only in logs or events has none."""
        return bool(await self._database.rows(session, sql.HAS_WALLET, wallet_id=wallet_id))

    async def list_wallets(
        self, session: AsyncSession, *, prefix: str | None, after: str | None, limit: int
    ) -> list[Subject]:
        """Return owners of wallets in order of their ids, starting after `after`."""
        rows = await self._database.rows(session, sql.LIST_WALLETS, prefix=prefix, after=after, limit=limit)
        return [Subject(row.wallet_id, row.external_id, row.email) for row in rows]

    async def lock_limits(self, session: AsyncSession, book: Book, scopes: Iterable[str]) -> None:
        """Lock the spending limits of these scopes, after the wallets and in a fixed order, and add them to the book."""
        wanted = sorted(set(scopes))
        if not wanted:
            return
        members = [scope for scope in wanted if scope.startswith("member:")]
        if members:
            templates = [f"{scope.rpartition(':')[0]}:{EVERY_MEMBER}" for scope in members]
            await self._database.rows(session, sql.ADD_LIMITS, scopes=members, templates=templates)
        for row in await self._database.rows(session, sql.LOCK_LIMITS, scopes=wanted):
            limit = limit_of(row)
            limit.roll(book.now)
            book.limits[limit.scope, limit.period] = limit

    async def held_by(self, session: AsyncSession, scope: str) -> int:
        """Return the sum of the open holds that count against this scope."""
        ((held,),) = await self._database.rows(session, sql.HELD_BY_SCOPE, scope=scope)
        return int(held)

    async def limit_kinds(self, session: AsyncSession) -> frozenset[str]:
        """Return the kinds of scopes that have limits."""
        return frozenset(row.kind for row in await self._database.rows(session, sql.LIMIT_KINDS))

    async def limits(
        self, session: AsyncSession, *, scopes: Iterable[str] = (), prefix: str | None = None
    ) -> list[LimitState]:
        """Return limits as stored, by exact scope or by prefix of the scope (at most 1,000)."""
        rows = await self._database.rows(session, sql.LIST_LIMITS, scopes=list(scopes), prefix=prefix)
        return [limit_of(row) for row in rows]

    async def drop_limit(self, session: AsyncSession, scope: str, period: LimitPeriod) -> bool:
        """Delete a limit; return whether it existed."""
        return bool(await self._database.rows(session, sql.DROP_LIMIT, scope=scope, period=period.value))

    async def write(self, session: AsyncSession, book: Book) -> None:
        """Write the changes in one statement, except for large numbers of transfers and slices, which are copied.

        Raises:
            RetryTransactionError: a usage key of the book was used meanwhile, with another wallet as its payer.
        """
        tables = rows_of(book)
        copied = {part: tables.pop(part) for part in sql.COPIES if len(tables.get(part, ())) >= COPIED_FROM}
        if tables:
            arrays = {name: values for part, rows in tables.items() for name, values in arrays_of(part, rows).items()}
            try:
                await self._database.rows(session, _write_statement("".join(tables)), **arrays)
            except asyncpg.NotNullViolationError as error:
                if (error.table_name, error.column_name) != ("charge", "status"):
                    raise
                raise RetryTransactionError("a usage key was used meanwhile by another wallet") from error
        for part, rows in copied.items():
            await self._database.copy(session, sql.COPIES[part], COLUMNS[part], rows)


_write_statement = lru_cache(maxsize=None)(sql.write_statement)


def _by_key(rows: Iterable[Any]) -> dict[str, ChargeState]:
    charges = map(charge_of, rows)
    return {charge.usage_key: charge for charge in charges}


def _covered(wallet: WalletState, need: int) -> bool:
    """Tell whether the grants read so far are all, or cover `need` for any feature."""
    if len(wallet.grants) < _GRANTS_AT_FIRST:
        return True
    return not wallet.earmarked and sum(grant.remaining for grant in wallet.grants.values()) >= need
