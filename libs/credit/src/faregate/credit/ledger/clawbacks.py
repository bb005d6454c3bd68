"""Claw-backs of purchases whose payment was reversed, and their reinstatement.

A payment can be reversed and reinstated in parts and several times. Each step is one more correction of the transfer that
granted the purchase; what was taken so far is the sum of these corrections, so that a step needs no memory of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import grant_of_correction, return_to_grants, take_free
from faregate.credit.ledger.states import GrantSlice, Transfer, TransferNote, WalletState

__all__ = ["ClawBack", "ReversalPolicy", "claw_back", "correct_purchase", "position_of", "reinstate"]


class ReversalPolicy(StrEnum):
    """What happens with the credits of a reversed payment that are used already."""

    DEBT = "debt"
    """The balance goes below 0; the next grants pay it back first."""
    LOSS = "loss"
    """They are posted as shortfall; the balance stays at 0."""


@dataclass(frozen=True, slots=True)
class ClawBack:
    """What the corrections of one purchase amount to, in micro-credits.

    `taken` is out of the wallet (or its debt), `lost` is shortfall, `voided` went with the grant.
    """

    taken: int = 0
    lost: int = 0
    voided: int = 0

    @property
    def total(self) -> int:
        """What was clawed back, from the wallet or as a loss."""
        return self.taken + self.lost


def position_of(corrections: Iterable[Transfer]) -> ClawBack:
    """Return what these corrections of one purchase amount to."""
    taken = lost = voided = 0
    for one in corrections:
        match one.kind, one.credit:
            case ((TransferKind.CHARGEBACK | TransferKind.CHARGEBACK_DEBT), _):
                taken += one.amount
            case TransferKind.REINSTATEMENT, Account.WALLET:
                taken -= one.amount
            case TransferKind.SHORTFALL, _:
                lost += one.amount
            case TransferKind.REINSTATEMENT, _:
                lost -= one.amount
            case TransferKind.GRANT_VOID, _:
                voided += one.amount
            case _:
                pass
    return ClawBack(taken, lost, voided)


def correct_purchase(
    book: Book,
    wallet: WalletState,
    filling: Transfer,
    target: int,
    *,
    corrections: Sequence[Transfer],
    slices: Sequence[GrantSlice],
    policy: ReversalPolicy,
    note: TransferNote,
) -> list[Transfer]:
    """Post the difference between what is clawed back of a purchase and `target`; nothing if there is none.

    Requires all live grants of the wallet, and the grants of `slices`.

    Args:
        filling: the transfer that granted the purchase.
        corrections: all corrections of it so far. What went with a voided grant is not taken again.
        slices: those of `filling` and of the corrections.
        note: its operation key is that of the purchase; each step adds its number.
    """
    position = position_of(corrections)
    more = min(target, filling.amount - position.voided) - position.total
    if more == 0:
        return []
    step = replace(note, corrects_seq=filling.seq, operation_key=f"{note.operation_key}:{len(corrections)}")
    if more > 0:
        grants = [part.grant_id for part in slices if part.seq == filling.seq]
        return claw_back(book, wallet, more, grants=grants, policy=policy, note=step)
    seqs = {one.seq for one in corrections if one.kind in {TransferKind.CHARGEBACK, TransferKind.REINSTATEMENT}}
    moved = [part for part in slices if part.seq in seqs]
    return reinstate(book, wallet, -more, position=position, moved=moved, note=step)


def claw_back(
    book: Book,
    wallet: WalletState,
    amount: int,
    *,
    grants: Sequence[UUID],
    policy: ReversalPolicy,
    note: TransferNote,
) -> list[Transfer]:
    """Take `amount` of a purchase back: what is left of its `grants`, then any free credits; `policy` decides about the rest.

    Open holds and the credit limit are not touched. Requires all live grants of the wallet.
    """
    free = min(amount, max(0, wallet.free - wallet.credit_limit))
    posted: list[Transfer] = []
    if free:
        posted.append(
            take_free(book, wallet, free, TransferKind.CHARGEBACK, Account.PURCHASES, preferred=grants, note=note)
        )
    if free < amount:
        posted.append(_uncovered(book, wallet, amount - free, policy=policy, note=note))
    return posted


def reinstate(
    book: Book,
    wallet: WalletState,
    amount: int,
    *,
    position: ClawBack,
    moved: Sequence[GrantSlice],
    note: TransferNote,
) -> list[Transfer]:
    """Give `amount` of a claw-back back: losses are cancelled first, then the debt is repaid, the rest goes to the grants.

    What cannot go back to a grant, because it has expired or was voided or because its credits had repaid a debt since, becomes
    a new grant of source purchase without an expiry.

    Args:
        position: what was clawed back so far.
        moved: what the claw-backs took from grants, and what earlier reinstatements returned to them, in order.
    """
    found = min(amount, position.lost)
    posted: list[Transfer] = []
    if found:
        key = f"{note.operation_key}/loss" if note.operation_key is not None else None
        posted.append(
            book.post(
                wallet,
                TransferKind.REINSTATEMENT,
                debit=Account.PURCHASES,
                credit=Account.SHORTFALL,
                amount=found,
                note=replace(note, operation_key=key),
            )
        )
    if amount > found:
        posted.append(_returned(book, wallet, amount - found, moved=moved, note=note))
    return posted


def _uncovered(book: Book, wallet: WalletState, amount: int, *, policy: ReversalPolicy, note: TransferNote) -> Transfer:
    if policy is ReversalPolicy.LOSS:
        kind, debit = TransferKind.SHORTFALL, Account.SHORTFALL
    else:
        kind, debit = TransferKind.CHARGEBACK_DEBT, Account.WALLET
        wallet.debt += amount
        wallet.clawback_debt += amount
    return book.post(wallet, kind, debit=debit, credit=Account.PURCHASES, amount=amount, note=note)


def _returned(
    book: Book,
    wallet: WalletState,
    amount: int,
    *,
    moved: Sequence[GrantSlice],
    note: TransferNote,
) -> Transfer:
    repaid = min(wallet.debt, amount)
    wallet.repay(repaid)
    back = return_to_grants(book, wallet, amount - repaid, _outstanding(moved), ())
    rest = amount - repaid - sum(part for _, part in back)
    if rest:
        back.append((grant_of_correction(book, wallet, rest, note, source=GrantSource.PURCHASE), rest))
    return book.post(
        wallet,
        TransferKind.REINSTATEMENT,
        debit=Account.PURCHASES,
        credit=Account.WALLET,
        amount=amount,
        slices=back,
        note=note,
    )


def _outstanding(moved: Sequence[GrantSlice]) -> list[GrantSlice]:
    """Return what is still taken from each grant, as one slice per grant, in the order in which it was taken last."""
    left: dict[UUID, GrantSlice] = {}
    for part in moved:
        known = left.pop(part.grant_id, None) if part.amount < 0 else left.get(part.grant_id)
        left[part.grant_id] = replace(part, amount=part.amount + (known.amount if known is not None else 0))
    return [part for part in left.values() if part.amount < 0]
