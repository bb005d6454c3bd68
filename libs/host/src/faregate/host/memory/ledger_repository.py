"""Repository of the ledger in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.subjects import Subject
from faregate.core.errors import RetryTransactionError
from faregate.core.privacy.erased_keys import erased_key
from faregate.core.redaction.scrubbing import clean_metadata, clean_text
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
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
from faregate.credit.storage.repository import LedgerRepository
from faregate.host.memory.database import MemoryDatabase
from faregate.wire import exact_json

__all__ = ["MemoryLedgerRepository"]

_LISTED = 1000
_FILLING = (TransferKind.GRANT, TransferKind.REFUND)


class MemoryLedgerRepository(LedgerRepository):
    """Reads wallets of a store into a book, and writes the book back."""

    def __init__(self, database: MemoryDatabase, clock: IClock) -> None:
        super().__init__(database)
        self._store = database.store
        self._clock = clock

    async def add_wallets(self, session: AsyncSession, wallet_ids: Iterable[int]) -> list[int]:
        new = [wallet_id for wallet_id in sorted(wallet_ids) if wallet_id not in self._store.wallets]
        self._store.wallets.update({wallet_id: WalletState(wallet_id) for wallet_id in new})
        return new

    async def lock(self, session: AsyncSession, wallet_ids: Iterable[int], *, now: datetime | None) -> Book:
        return await self.read(session, wallet_ids, now=now)

    async def read(self, session: AsyncSession, wallet_ids: Iterable[int], *, now: datetime | None) -> Book:
        found = [self._store.wallets[w] for w in sorted(set(wallet_ids)) if w in self._store.wallets]
        if not found:
            raise RetryTransactionError("none of the wallets exists; the transaction that created them was rolled back")
        return Book(now or self._clock.now(), (replace(wallet, grants={}) for wallet in found))

    async def charges(self, session: AsyncSession, usage_keys: Iterable[str]) -> Mapping[str, ChargeState]:
        found = (self._store.charges.get(key) for key in sorted(set(usage_keys)))
        return {charge.usage_key: _charge(charge) for charge in found if charge is not None}

    async def started(
        self, session: AsyncSession, usage_keys: Iterable[str]
    ) -> list[tuple[ChargeState, str, str | None]]:
        names = {subject.subject_id: subject.external_id for subject in self._store.subjects.values()}
        charges = (await self.charges(session, usage_keys)).values()
        return [(c, names[c.subject_id], names[c.organization_id] if c.organization_id else None) for c in charges]

    async def charges_again(
        self, session: AsyncSession, usage_keys: Iterable[str], seen: Mapping[str, ChargeState]
    ) -> Mapping[str, ChargeState]:
        return await self.charges(session, usage_keys)

    async def due_charges(
        self, session: AsyncSession, wallet_ids: Iterable[int], *, until: datetime
    ) -> Mapping[str, ChargeState]:
        found: dict[str, ChargeState] = {}
        for wallet_id in wallet_ids:
            mine = [c for c in self._open_charges() if c.wallet_id == wallet_id and c.expires_at is not None]
            mine.sort(key=lambda charge: charge.expires_at or until)
            due = [charge for charge in mine if charge.expires_at is not None and charge.expires_at <= until]
            found |= {charge.usage_key: _charge(charge) for charge in [*due, *mine[len(due) : len(due) + 1]]}
        return found

    async def due_wallets(self, session: AsyncSession, *, now: datetime | None, limit: int) -> list[int]:
        moment = now or self._clock.now()
        due = [w for w in self._store.wallets.values() if w.next_change_at is not None and w.next_change_at <= moment]
        return [w.wallet_id for w in sorted(due, key=lambda wallet: wallet.next_change_at or moment)[:limit]]

    async def load_grants(self, session: AsyncSession, book: Book, wallet_ids: Iterable[int]) -> None:
        for wallet_id in wallet_ids:
            _take(book, (grant for grant in self._grants(wallet_id) if _is_live(grant)))
            book.wallets[wallet_id].all_grants = True

    async def load_grants_for(self, session: AsyncSession, book: Book, needs: Mapping[int, int]) -> None:
        await self.load_grants(session, book, [wallet for wallet in needs if not book.wallets[wallet].all_grants])

    async def load_grants_by_key(self, session: AsyncSession, book: Book, keys: Sequence[tuple[int, str]]) -> None:
        for wallet_id, key in keys:
            _take(book, (grant for grant in self._grants(wallet_id) if grant.key in {key, erased_key(key)}))

    async def load_grants_by_id(self, session: AsyncSession, book: Book, grant_ids: Iterable[UUID]) -> None:
        _take(book, (self._store.grants[grant_id] for grant_id in grant_ids if grant_id in self._store.grants))

    async def grants(
        self, session: AsyncSession, wallet_id: int, *, live: bool = True, limit: int = _LISTED
    ) -> list[GrantState]:
        return [replace(grant) for grant in self._grants(wallet_id) if not live or _is_live(grant)][:limit]

    async def grants_by_prefix(self, session: AsyncSession, wallet_id: int, prefix: str) -> list[GrantState]:
        found = [replace(grant) for grant in self._grants(wallet_id) if (grant.key or "").startswith(prefix)]
        return found[::-1][:_LISTED]

    async def grant_use(
        self, session: AsyncSession, wallet_id: int, grant_ids: Sequence[UUID], *, since: datetime
    ) -> Mapping[UUID, GrantUse]:
        return {grant_id: self._grant_use(wallet_id, grant_id, since) for grant_id in grant_ids}

    async def repaid_by(
        self,
        session: AsyncSession,
        wallet_id: int,
        grant_ids: Sequence[UUID],
        actors: Iterable[str],
        *,
        since: datetime,
    ) -> int:
        ids, names, repaid = set(grant_ids), set(actors), 0
        kinds = {TransferKind.GRANT: 1, TransferKind.GRANT_VOID: -1}
        for transfer in self._transfers(wallet_id):
            parts = [part for part in self._slices(wallet_id, {transfer.seq}) if part.grant_id in ids]
            whole = not self._slices(wallet_id, {transfer.seq})
            if (
                transfer.effective_at >= since
                and transfer.kind in kinds
                and transfer.actor in names
                and (parts or whole)
            ):
                repaid += kinds[transfer.kind] * transfer.amount - sum(part.amount for part in parts)
        return repaid

    async def transfers(
        self, session: AsyncSession, wallet_id: int, *, before: int | None, limit: int
    ) -> list[Transfer]:
        found = [transfer for transfer in self._transfers(wallet_id) if before is None or transfer.seq < before]
        return found[::-1][:limit]

    async def transfers_of(self, session: AsyncSession, charge: ChargeState) -> list[Transfer]:
        return [t for t in self._transfers(charge.wallet_id) if t.usage_key == charge.usage_key]

    async def transfer(self, session: AsyncSession, wallet_id: int, seq: int) -> Transfer | None:
        return self._store.transfers.get((wallet_id, seq))

    async def corrections(self, session: AsyncSession, wallet_id: int, seq: int) -> list[Transfer]:
        return [transfer for transfer in self._transfers(wallet_id) if transfer.corrects_seq == seq]

    async def operation(self, session: AsyncSession, wallet_id: int, key: str) -> list[Transfer]:
        return [t for t in self._transfers(wallet_id) if t.operation_key in {key, operation_digest(key)}]

    async def slices(self, session: AsyncSession, wallet_id: int, seqs: Iterable[int]) -> list[GrantSlice]:
        return self._slices(wallet_id, set(seqs))

    async def filled_by(self, session: AsyncSession, wallet_id: int, grant_id: UUID) -> int | None:
        filled = {p.seq for p in self._store.slices.values() if p.wallet_id == wallet_id and p.grant_id == grant_id}
        found = [t for t in self._transfers(wallet_id) if t.seq in filled and t.kind in _FILLING]
        found.sort(key=lambda t: (t.kind, -t.seq if t.kind is TransferKind.GRANT else t.seq))
        return found[0].seq if found else None

    async def has_wallet(self, session: AsyncSession, wallet_id: int) -> bool:
        return wallet_id in self._store.wallets

    async def list_wallets(
        self, session: AsyncSession, *, prefix: str | None, after: str | None, limit: int
    ) -> list[Subject]:
        owners = sorted(self._store.subjects.values(), key=lambda subject: subject.external_id)
        owners = [owner for owner in owners if owner.subject_id in self._store.wallets]
        return [
            o for o in owners if o.external_id.startswith(prefix or "") and (after is None or o.external_id > after)
        ][:limit]

    async def lock_limits(self, session: AsyncSession, book: Book, scopes: Iterable[str]) -> None:
        for scope in sorted(set(scopes)):
            self._add_member_limits(scope)
            for (known, period), limit in sorted(self._store.limits.items()):
                if known == scope:
                    book.limits[scope, period] = replace(limit)
                    book.limits[scope, period].roll(book.now)

    async def held_by(self, session: AsyncSession, scope: str) -> int:
        return sum(charge.hold for charge in self._open_charges() if scope in charge.limit_scopes)

    async def limit_kinds(self, session: AsyncSession) -> frozenset[str]:
        return frozenset(scope.partition(":")[0] for scope, _ in self._store.limits)

    async def limits(
        self, session: AsyncSession, *, scopes: Iterable[str] = (), prefix: str | None = None
    ) -> list[LimitState]:
        wanted = set(scopes)
        found = [limit for _, limit in sorted(self._store.limits.items())]
        return [
            replace(limit)
            for limit in found
            if limit.scope in wanted or (prefix is not None and limit.scope.startswith(prefix))
        ][:_LISTED]

    async def drop_limit(self, session: AsyncSession, scope: str, period: LimitPeriod) -> bool:
        return self._store.limits.pop((scope, period), None) is not None

    async def write(self, session: AsyncSession, book: Book) -> None:
        store = self._store
        for charge in book.changed_charges.values():
            known = store.charges.get(charge.usage_key)
            if known is not None and known.wallet_id != charge.wallet_id:
                raise RetryTransactionError("a usage key was used meanwhile by another wallet")
            store.charges[charge.usage_key] = _stored(charge)
        store.wallets.update(
            {w: replace(wallet, grants={}, all_grants=False) for w, wallet in book.changed_wallets.items()}
        )
        store.grants.update({grant_id: replace(grant) for grant_id, grant in book.changed_grants.items()})
        store.limits.update({key: replace(limit) for key, limit in book.changed_limits.items()})
        store.transfers.update({(transfer.wallet_id, transfer.seq): transfer for transfer in book.transfers})
        store.slices.update({(part.wallet_id, part.seq, part.grant_id): part for part in book.slices})
        store.top_ups.update({order.order_id: order for order in book.top_ups})

    def _open_charges(self) -> list[ChargeState]:
        return [charge for charge in self._store.charges.values() if charge.status is ChargeStatus.OPEN]

    def _grants(self, wallet_id: int) -> list[GrantState]:
        mine = [grant for grant in self._store.grants.values() if grant.wallet_id == wallet_id]
        return sorted(mine, key=lambda grant: (grant.created_at, grant.grant_id))

    def _transfers(self, wallet_id: int) -> list[Transfer]:
        return [transfer for (owner, _), transfer in sorted(self._store.transfers.items()) if owner == wallet_id]

    def _slices(self, wallet_id: int, seqs: set[int]) -> list[GrantSlice]:
        found = [part for part in self._store.slices.values() if part.wallet_id == wallet_id and part.seq in seqs]
        return sorted(found, key=lambda part: (part.seq, part.grant_id))

    def _grant_use(self, wallet_id: int, grant_id: UUID, since: datetime) -> GrantUse:
        moved = spent = lapsed = 0
        for part in self._store.slices.values():
            transfer = self._store.transfers[part.wallet_id, part.seq]
            if (part.wallet_id, part.grant_id) != (wallet_id, grant_id) or transfer.effective_at < since:
                continue
            moved += part.amount
            lapsed -= part.amount if transfer.kind is TransferKind.EXPIRY else 0
            if transfer.kind not in {TransferKind.GRANT, TransferKind.EXPIRY, TransferKind.GRANT_VOID}:
                spent -= part.amount
        left = self._store.grants[grant_id].remaining
        return GrantUse(spent=spent, left=left, rolled_over=max(0, left - moved - lapsed))

    def _add_member_limits(self, scope: str) -> None:
        """Give a pool member without a limit of its own a copy of the limit for all members."""
        template = f"{scope.rpartition(':')[0]}:{EVERY_MEMBER}"
        if not scope.startswith("member:"):
            return
        for (known, period), limit in list(self._store.limits.items()):
            if known == template and (scope, period) not in self._store.limits:
                held = sum(charge.hold for charge in self._open_charges() if scope in charge.limit_scopes)
                self._store.limits[scope, period] = replace(limit, scope=scope, spent=0, held=held)


def _is_live(grant: GrantState) -> bool:
    return not grant.voided and (grant.remaining > 0 or not grant.active or grant.renewal is not None)


def _take(book: Book, grants: Iterable[GrantState]) -> None:
    for grant in grants:
        if grant.wallet_id in book.wallets:
            book.wallets[grant.wallet_id].grants.setdefault(grant.grant_id, replace(grant))


def _charge(charge: ChargeState) -> ChargeState:
    return replace(charge, hold_grants=dict(charge.hold_grants))


def _stored(charge: ChargeState) -> ChargeState:
    """Return a charge as a database returns it: with texts and metadata in the form in which they are stored."""
    metadata = (
        exact_json.loads(exact_json.dumps(clean_metadata(charge.metadata))) if charge.metadata else charge.metadata
    )
    reason = clean_text(charge.close_reason) if charge.close_reason else charge.close_reason
    return replace(
        charge,
        hold_grants=dict(charge.hold_grants),
        metadata=metadata,
        close_reason=reason,
        read_metadata=metadata,
        read_reason=reason,
        warned=(),
    )
