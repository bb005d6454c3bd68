"""Wallets locked by one transaction, and the changes to write.

The rules (`burn_down`, `holds`, `settlement`, `time_effects`, `grants`, `corrections`) are functions over the book and do not
access the database. The book is read once and written once. All amounts are integer micro-credits.
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
    TopUpOrder,
    Transfer,
    TransferNote,
    WalletState,
)

__all__ = ["Book"]

_NO_NOTE = TransferNote()


class Book:
    """Locked wallets, and the rows to write once all decisions are made."""

    def __init__(self, now: datetime, wallets: Iterable[WalletState] = ()) -> None:
        self.now = now
        self.wallets = {wallet.wallet_id: wallet for wallet in wallets}
        self.left_before: dict[int, int] = {}
        """What each wallet had left (`WalletState.left`) when it was locked."""
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
        """The wallets that have become low or exhausted and for which a warning is due."""
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
        note: TransferNote = _NO_NOTE,
    ) -> Transfer:
        """Append one transfer, update the wallet's counters, and apply `slices` to grants.

        `at` is when the transfer takes effect. It is raised to the time of the wallet's previous transfer if it is earlier,
        so that a wallet's transfers are ordered by time as well as by sequence number.
        """
        if amount <= 0:
            raise AssertionError(f"the amount of a transfer must be positive, not {amount}")
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
            wallet_id=wallet.wallet_id,
            seq=wallet.last_seq,
            kind=kind,
            debit=debit,
            credit=credit,
            amount=amount,
            balance_after=wallet.balance,
            usage_key=note.usage_key,
            corrects_seq=note.corrects_seq,
            operation_key=operation_key,
            actor=note.actor,
            reason=note.reason,
            salt=salt,
            seal=seal,
            effective_at=moment,
            created_at=self.now,
            hash=wallet.head_hash,
        )
        self.transfers.append(transfer)
        self.touch(wallet)
        return transfer

    def release(self, charge: ChargeState, status: ChargeStatus, *, at: datetime) -> None:
        """Release the hold of an open charge and set its status to `status`."""
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
        """Return the limits of these scopes, in all periods."""
        wanted = set(scopes)
        return [limit for limit in self.limits.values() if limit.scope in wanted]

    def count_limits(self, charge: ChargeState, *, held: int = 0, spent: int = 0) -> None:
        """Count the held and spent amounts of a charge against its limits."""
        for limit in self.limits_of(charge.limit_scopes) if charge.limit_scopes else ():
            limit.held = max(0, limit.held + held)
            limit.spent += spent
            self.changed_limits[limit.scope, limit.period] = limit

    def touch(self, wallet: WalletState) -> None:
        """Mark `wallet` as changed."""
        self.changed_wallets[wallet.wallet_id] = wallet

    def touch_charge(self, charge: ChargeState) -> None:
        """Mark `charge` as changed."""
        self.charges[charge.usage_key] = charge
        self.changed_charges[charge.usage_key] = charge

    def touch_grant(self, grant: GrantState) -> None:
        """Mark `grant` as changed."""
        self.changed_grants[grant.grant_id] = grant

    def _move(self, wallet: WalletState, grant: GrantState, change: int) -> bool:
        """Add `change` to a grant and its expiry to the wallet's next change; return False if `change` is 0."""
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
