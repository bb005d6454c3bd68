"""The book: the wallets that one transaction has locked, and what is decided about them. Read once, written once.

Rules (`burn_down`, `holds`, `settlement`, `maturing`, `granting`, `corrections`) are functions over the book; none of
them knows a database. All amounts here are integer micro-credits.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.chain import link
from faregate.credit.ledger.limits import LimitPeriod, LimitState
from faregate.credit.ledger.reasons import operation_digest, sealed
from faregate.credit.ledger.states import (
    ChargeState,
    ChargeStatus,
    GrantSlice,
    GrantState,
    Note,
    TopUpOrder,
    Transfer,
    WalletState,
)

__all__ = ["Book"]

_NO_NOTE = Note()


class Book:
    """Wallets under lock, and the rows to write when the decisions are made."""

    def __init__(self, now: datetime, wallets: Iterable[WalletState] = ()) -> None:
        self.now = now
        self.wallets = {wallet.wallet_id: wallet for wallet in wallets}
        self.left_before: dict[int, int] = {}
        """What the wallets had left when they were locked, by `WalletState.left`."""
        self.charges: dict[str, ChargeState] = {}
        self.changed_wallets: dict[int, WalletState] = {}
        self.changed_charges: dict[str, ChargeState] = {}
        self.changed_grants: dict[UUID, GrantState] = {}
        self.limits: dict[tuple[str, LimitPeriod], LimitState] = {}
        self.changed_limits: dict[tuple[str, LimitPeriod], LimitState] = {}
        self.transfers: list[Transfer] = []
        self.top_ups: list[TopUpOrder] = []
        self.low: list[WalletState] = []
        self.exhausted: list[WalletState] = []
        """The wallets that have become low, and exhausted, and were not warned of yet."""
        self.slices: list[GrantSlice] = []

    def post(
        self,
        wallet: WalletState,
        kind: TransferKind,
        *,
        debit: Account,
        credit: Account,
        amount: int,
        slices: Iterable[tuple[GrantState, int]] = (),
        at: datetime | None = None,
        note: Note = _NO_NOTE,
    ) -> Transfer:
        """Append one transfer, move the wallet's counters, and move `slices` in and out of grants.

        `at` is when the movement took effect; never before the wallet's last one, so that a wallet's transfers are in
        order of time as well as of number.
        """
        if amount <= 0:
            raise AssertionError(f"a transfer moves a positive amount, not {amount}")
        moment = max(at or self.now, wallet.changed_at or at or self.now)
        wallet.changed_at = moment
        wallet.last_seq += 1
        if credit is Account.WALLET:
            wallet.credits += amount
        if debit is Account.WALLET:
            wallet.debits += amount
        salt, seal = sealed(note.reason)
        operation_key = operation_digest(note.operation_key)
        moved = [(grant.grant_id, change) for grant, change in slices if self._move(wallet, grant, change)]
        wallet.head_hash = link(
            wallet.head_hash,
            wallet_id=wallet.wallet_id,
            seq=wallet.last_seq,
            kind=kind,
            debit=debit,
            credit=credit,
            amount=amount,
            balance_after=wallet.balance,
            corrects_seq=note.corrects_seq,
            effective_at=moment,
            created_at=self.now,
            texts=(note.usage_key, operation_key, note.actor, seal),
            slices=moved,
        )
        transfer = Transfer(
            wallet.wallet_id,
            wallet.last_seq,
            kind,
            debit,
            credit,
            amount,
            wallet.balance,
            note.usage_key,
            note.corrects_seq,
            operation_key,
            note.actor,
            note.reason,
            salt,
            seal,
            moment,
            self.now,
            wallet.head_hash,
        )
        self.transfers.append(transfer)
        self.touch(wallet)
        return transfer

    def release(self, charge: ChargeState, status: ChargeStatus, *, at: datetime) -> None:
        """Give back what an open charge holds, and close its hold with `status`."""
        wallet = self.wallets[charge.wallet_id]
        wallet.held -= charge.hold
        for grant_id, amount in charge.hold_grants.items():
            wallet.grants[grant_id].held -= amount
            wallet.earmarked += amount
            self.touch_grant(wallet.grants[grant_id])
        self.count_limits(charge, held=-charge.hold)
        charge.status = status
        charge.closed_at = at
        self.touch(wallet)
        self.touch_charge(charge)

    def limits_of(self, scopes: Iterable[str]) -> list[LimitState]:
        """Return the limits of these scopes, of all periods."""
        wanted = set(scopes)
        return [limit for limit in self.limits.values() if limit.scope in wanted]

    def count_limits(self, charge: ChargeState, *, held: int = 0, spent: int = 0) -> None:
        """Count what a charge holds or has spent against its limits."""
        for limit in self.limits_of(charge.limit_scopes) if charge.limit_scopes else ():
            limit.held = max(0, limit.held + held)
            limit.spent += spent
            self.changed_limits[limit.scope, limit.period] = limit

    def touch(self, wallet: WalletState) -> None:
        """Note that `wallet` must be written."""
        self.changed_wallets[wallet.wallet_id] = wallet

    def touch_charge(self, charge: ChargeState) -> None:
        """Note that `charge` must be written."""
        self.charges[charge.usage_key] = charge
        self.changed_charges[charge.usage_key] = charge

    def touch_grant(self, grant: GrantState) -> None:
        """Note that `grant` must be written."""
        self.changed_grants[grant.grant_id] = grant

    def _move(self, wallet: WalletState, grant: GrantState, change: int) -> bool:
        """Put `change` into a grant, whose expiry the wallet must not miss; tell whether there was anything to move."""
        self.touch_grant(grant)
        if change == 0:
            return False
        grant.remaining += change
        if grant.features is not None:
            wallet.earmarked += change
        self.slices.append(GrantSlice(wallet.wallet_id, wallet.last_seq, grant.grant_id, change))
        if change > 0 and grant.expires_at is not None:
            wallet.next_change_at = min(grant.expires_at, wallet.next_change_at or grant.expires_at)
        return True
