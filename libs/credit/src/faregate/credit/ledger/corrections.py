"""Refunds, adjustments and chargebacks, each a new transfer that references the original."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from faregate.core.errors import InvalidError
from faregate.credit.errors import NotRefundableError, insufficient_credits
from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.burn_down import burn
from faregate.credit.ledger.grants import GRANT_PRIORITY, GrantSpec, add_grant
from faregate.credit.ledger.states import GrantSlice, GrantState, Transfer, TransferNote, WalletState
from faregate.wire.ids import new_uuid7

__all__ = [
    "REFUNDABLE",
    "adjust",
    "charge_back",
    "grant_of_correction",
    "is_adjustment",
    "is_charge_back_of",
    "is_refund_of",
    "refund",
    "refund_parts",
    "return_to_grants",
    "take_free",
]

REFUNDABLE = frozenset({TransferKind.CHARGE, TransferKind.LIMIT_CHARGE, TransferKind.REPRICE})
"""The kinds of transfers that took credits for a use."""

_LOST = frozenset({TransferKind.CHARGEBACK, TransferKind.SHORTFALL})


def refund(
    book: Book,
    wallet: WalletState,
    original: Transfer,
    *,
    amount: int | None,
    slices: Sequence[GrantSlice],
    refunds: Sequence[Transfer],
    refund_slices: Sequence[GrantSlice],
    note: TransferNote,
) -> Transfer:
    """Refund `amount` (None: all that is left) of a charge to the grants that paid it, last used first.

    A refund of what the credit limit paid first reduces the debt. What cannot go back because the grant has expired or was
    voided, or because the debt was repaid, becomes a new grant of source refund without an expiry.

    Args:
        slices: what the original took from grants.
        refunds, refund_slices: the earlier refunds of the original, and what they returned to grants.

    Raises:
        InvalidError: the transfer is not a charge, or the amount is not above 0.
        NotRefundableError: the amount exceeds what is left to refund.
    """
    if original.kind not in REFUNDABLE:
        raise InvalidError(f"a {original.kind.name.lower()} cannot be refunded; only charges can", param="id")
    left = original.amount - sum(transfer.amount for transfer in refunds)
    wanted = left if amount is None else amount
    if wanted <= 0 < left:
        raise InvalidError("credits must be more than 0", param="credits")
    if wanted > left or left == 0:
        raise NotRefundableError(left_micros=left, asked_micros=wanted or original.amount)
    back = return_to_grants(book, wallet, wanted, slices, refund_slices)
    rest = wanted - sum(part for _, part in back)
    repaid = min(wallet.debt, rest) if original.kind is TransferKind.LIMIT_CHARGE else 0
    wallet.debt -= repaid
    wallet.clawback_debt = min(wallet.clawback_debt, wallet.debt)
    if rest > repaid:
        back.append((grant_of_correction(book, wallet, rest - repaid, note), rest - repaid))
    return book.post(
        wallet,
        TransferKind.REFUND,
        debit=Account.REVENUE,
        credit=Account.WALLET,
        amount=wanted,
        slices=back,
        note=replace(note, usage_key=original.usage_key, corrects_seq=original.seq),
    )


def refund_parts(charges: Sequence[tuple[Transfer, int]], amount: int | None) -> list[tuple[Transfer, int]]:
    """Return what to refund of each charge of one use, last charge first.

    Args:
        charges: the charges of the use in order, each with what earlier refunds have left of it.
        amount: the amount to refund in all; None for all that is left.

    Raises:
        NotRefundableError: the amount exceeds what is left, or nothing is left.
    """
    left = sum(rest for _, rest in charges)
    wanted = left if amount is None else amount
    if wanted > left or left == 0:
        raise NotRefundableError(left_micros=left, asked_micros=wanted or sum(charge.amount for charge, _ in charges))
    parts: list[tuple[Transfer, int]] = []
    for charge, rest in reversed(charges):
        part = min(rest, wanted)
        wanted -= part
        if part:
            parts.append((charge, part))
    return parts


def adjust(book: Book, wallet: WalletState, amount: int, *, note: TransferNote) -> Transfer:
    """Correct a balance manually: up with a grant of source adjustment, down from the free credits.

    Raises:
        InvalidError: the amount is 0.
        InsufficientCreditsError: the balance would be reduced by more than is free.
    """
    if amount == 0:
        raise InvalidError("credits must not be 0", param="credits")
    if amount > 0:
        key = note.operation_key
        spec = GrantSpec(amount, GrantSource.ADJUSTMENT, key=key, actor=note.actor, reason=note.reason)
        add_grant(book, wallet, spec)
        return book.transfers[-1]
    return take_free(book, wallet, -amount, TransferKind.ADJUSTMENT, Account.ADJUSTMENT, note=note)


def charge_back(
    book: Book,
    wallet: WalletState,
    original: Transfer,
    *,
    grants: Sequence[UUID],
    earlier: Sequence[Transfer],
    note: TransferNote,
) -> list[Transfer]:
    """Reverse a purchase whose payment was reversed: take what is left of it, then any free credits; the rest is a loss.

    The wallet never goes below its credit limit: credits that are already used are posted as shortfall against purchases.

    Args:
        grants: the grants that the purchase filled.
        earlier: the corrections of the purchase posted before. If they include a chargeback, it is returned and nothing is
            posted.

    Raises:
        InvalidError: the transfer is not a purchase.
    """
    if original.kind is not TransferKind.GRANT or original.debit is not Account.PURCHASES:
        raise InvalidError("only a purchase can be charged back", param="id")
    done = [transfer for transfer in earlier if is_charge_back_of(transfer, original)]
    if done:
        return done
    takable = min(original.amount, max(0, wallet.free - wallet.credit_limit))
    note = replace(note, corrects_seq=original.seq)
    posted: list[Transfer] = []
    if takable:
        kind = TransferKind.CHARGEBACK
        posted.append(take_free(book, wallet, takable, kind, Account.PURCHASES, preferred=grants, note=note))
    if takable < original.amount:
        lost, kind = original.amount - takable, TransferKind.SHORTFALL
        posted.append(
            book.post(wallet, kind, debit=Account.SHORTFALL, credit=Account.PURCHASES, amount=lost, note=note)
        )
    return posted


def is_refund_of(
    transfer: Transfer, original: Transfer, *, amount: int | None, corrections: Iterable[Transfer]
) -> bool:
    """Tell whether `transfer` is the result of this `refund` of `original`; `amount` None means all that was left then.

    Args:
        corrections: all corrections of the original; they show what was left of it after `transfer`.
    """
    if transfer.kind is not TransferKind.REFUND or transfer.corrects_seq != original.seq:
        return False
    if amount is not None:
        return transfer.amount == amount
    refunds = [one for one in corrections if one.kind is TransferKind.REFUND and one.seq <= transfer.seq]
    return sum(one.amount for one in refunds) == original.amount


def is_adjustment(transfer: Transfer, amount: int) -> bool:
    """Tell whether `transfer` is the result of `adjust` by this signed amount."""
    if amount > 0:
        return (transfer.kind, transfer.debit, transfer.amount) == (TransferKind.GRANT, Account.ADJUSTMENT, amount)
    return (transfer.kind, transfer.amount) == (TransferKind.ADJUSTMENT, -amount)


def is_charge_back_of(transfer: Transfer, original: Transfer) -> bool:
    """Tell whether `transfer` is a result of `charge_back` of `original`."""
    return transfer.corrects_seq == original.seq and transfer.credit is Account.PURCHASES and transfer.kind in _LOST


def take_free(
    book: Book,
    wallet: WalletState,
    amount: int,
    kind: TransferKind,
    account: Account,
    *,
    preferred: Iterable[UUID] = (),
    note: TransferNote,
) -> Transfer:
    """Take `amount` from the `preferred` grants, then in burn order; never from the credit limit."""
    free = wallet.free - wallet.credit_limit
    if amount > free:
        raise insufficient_credits(free_micros=max(0, free), required_micros=amount)
    slices: list[tuple[GrantState, int]] = []
    left = amount
    for grant_id in preferred:
        grant = wallet.grants.get(grant_id)
        take = min(left, grant.remaining - grant.held) if grant is not None else 0
        if grant is not None and take > 0:
            slices.append((grant, -take))
            left -= take
    used = {grant.grant_id for grant, _ in slices}
    others = [grant for grant_id, grant in wallet.grants.items() if grant_id not in used and grant.features is None]
    rest, _ = burn(others, left, now=book.now)
    return book.post(
        wallet, kind, debit=Account.WALLET, credit=account, amount=amount, slices=[*slices, *rest], note=note
    )


def return_to_grants(
    book: Book, wallet: WalletState, amount: int, slices: Sequence[GrantSlice], refunded: Sequence[GrantSlice]
) -> list[tuple[GrantState, int]]:
    """Return the amount to return to each grant, last used first; expired grants get nothing."""
    given: dict[UUID, int] = {}
    for part in refunded:
        given[part.grant_id] = given.get(part.grant_id, 0) + part.amount
    back: list[tuple[GrantState, int]] = []
    for part in reversed(slices):
        grant = wallet.grants.get(part.grant_id)
        take = min(amount, -part.amount - given.get(part.grant_id, 0))
        if grant is None or grant.lapsed(book.now) or take <= 0:
            continue
        back.append((grant, take))
        amount -= take
    return back


def grant_of_correction(
    book: Book, wallet: WalletState, amount: int, note: TransferNote, *, source: GrantSource = GrantSource.REFUND
) -> GrantState:
    """Return a new grant for what a correction cannot return to the grants that paid."""
    grant = GrantState(
        grant_id=new_uuid7(),
        wallet_id=wallet.wallet_id,
        source=source,
        priority=GRANT_PRIORITY,
        amount=amount,
        effective_at=book.now,
        created_at=book.now,
        active=True,
        actor=note.actor,
        reason=note.reason,
    )
    wallet.grants[grant.grant_id] = grant
    book.touch_grant(grant)
    return grant
