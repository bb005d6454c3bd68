"""Putting right what was posted: each correction is a new transfer that points at what it corrects."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from faregate.core.errors import InvalidError
from faregate.credit.errors import InsufficientCreditsError, NotRefundableError
from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.burn_down import burn
from faregate.credit.ledger.grants import GRANT_PRIORITY, GrantSpec, add_grant
from faregate.credit.ledger.states import GrantSlice, GrantState, Note, Transfer, WalletState
from faregate.wire.ids import new_uuid7

__all__ = [
    "REFUNDABLE",
    "adjust",
    "charge_back",
    "is_adjustment",
    "is_charge_back_of",
    "is_refund_of",
    "refund",
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
    note: Note,
) -> Transfer:
    """Give back `amount` (None: all that is left) of a charge, to the grants that paid it, last used first.

    What the credit limit paid lowers the debt first. What a grant has lapsed or was voided since, or a debt repaid since,
    comes back as a new grant of source refund without an expiry.

    Args:
        slices: what the original took from grants; `refunds` and `refund_slices`: what was given back of it before.

    Raises:
        InvalidError: the transfer is none that can be refunded, or the amount is not above 0.
        NotRefundableError: more than is left of it.
    """
    if original.kind not in REFUNDABLE:
        raise InvalidError(f"a {original.kind.name.lower()} is no charge; only charges are refunded", param="id")
    left = original.amount - sum(transfer.amount for transfer in refunds)
    wanted = left if amount is None else amount
    if wanted <= 0 < left:
        raise InvalidError("credits must be more than 0", param="credits")
    if wanted > left or left == 0:
        raise NotRefundableError(left_micros=left, asked_micros=wanted or original.amount)
    back = _back_to_grants(book, wallet, wanted, slices, refund_slices)
    rest = wanted - sum(part for _, part in back)
    repaid = min(wallet.debt, rest) if original.kind is TransferKind.LIMIT_CHARGE else 0
    wallet.debt -= repaid
    if rest > repaid:
        back.append((_refund_grant(book, wallet, rest - repaid, note), rest - repaid))
    return book.post(
        wallet,
        TransferKind.REFUND,
        debit=Account.REVENUE,
        credit=Account.WALLET,
        amount=wanted,
        slices=back,
        note=replace(note, usage_key=original.usage_key, corrects_seq=original.seq),
    )


def adjust(book: Book, wallet: WalletState, amount: int, *, note: Note) -> Transfer:
    """Correct a balance by hand: up as a grant of source adjustment, down out of what is free.

    Raises:
        InvalidError: 0 is no adjustment.
        InsufficientCreditsError: down by more than is free.
    """
    if amount == 0:
        raise InvalidError("credits must not be 0", param="credits")
    if amount > 0:
        key = note.operation_key
        spec = GrantSpec(amount, GrantSource.ADJUSTMENT, key=key, actor=note.actor, reason=note.reason)
        add_grant(book, wallet, spec)
        return book.transfers[-1]
    return _take(book, wallet, -amount, TransferKind.ADJUSTMENT, Account.ADJUSTMENT, note=note)


def charge_back(
    book: Book,
    wallet: WalletState,
    original: Transfer,
    *,
    grants: Sequence[UUID],
    earlier: Sequence[Transfer],
    note: Note,
) -> list[Transfer]:
    """Undo a purchase whose payment was reversed: from what is left of it, then from anything free; the rest is our loss.

    The wallet never goes below its credit limit: what was used already is posted as shortfall against purchases.

    Args:
        grants: the grants that the purchase filled; `earlier`: corrections of it posted before; if a charge-back is among
            them, it is done.

    Raises:
        InvalidError: the transfer is no purchase.
    """
    if original.kind is not TransferKind.GRANT or original.debit is not Account.PURCHASES:
        raise InvalidError("only a purchase can be charged back", param="id")
    done = [transfer for transfer in earlier if is_charge_back_of(transfer, original)]
    if done:
        return done
    takable = min(original.amount, max(0, wallet.free - wallet.credit_limit))
    said = replace(note, corrects_seq=original.seq)
    posted: list[Transfer] = []
    if takable:
        kind = TransferKind.CHARGEBACK
        posted.append(_take(book, wallet, takable, kind, Account.PURCHASES, preferred=grants, note=said))
    if takable < original.amount:
        lost, kind = original.amount - takable, TransferKind.SHORTFALL
        posted.append(
            book.post(wallet, kind, debit=Account.SHORTFALL, credit=Account.PURCHASES, amount=lost, note=said)
        )
    return posted


def is_refund_of(
    transfer: Transfer, original: Transfer, *, amount: int | None, corrections: Iterable[Transfer]
) -> bool:
    """Tell whether `transfer` is what `refund` of `original` has posted; `amount` None is all that was left then.

    Args:
        corrections: all corrections of the original; they tell what `transfer` has left of it.
    """
    if transfer.kind is not TransferKind.REFUND or transfer.corrects_seq != original.seq:
        return False
    if amount is not None:
        return transfer.amount == amount
    refunds = [one for one in corrections if one.kind is TransferKind.REFUND and one.seq <= transfer.seq]
    return sum(one.amount for one in refunds) == original.amount


def is_adjustment(transfer: Transfer, amount: int) -> bool:
    """Tell whether `transfer` is what `adjust` by this signed amount has posted."""
    if amount > 0:
        return (transfer.kind, transfer.debit, transfer.amount) == (TransferKind.GRANT, Account.ADJUSTMENT, amount)
    return (transfer.kind, transfer.amount) == (TransferKind.ADJUSTMENT, -amount)


def is_charge_back_of(transfer: Transfer, original: Transfer) -> bool:
    """Tell whether `transfer` is one that `charge_back` of `original` has posted."""
    return transfer.corrects_seq == original.seq and transfer.credit is Account.PURCHASES and transfer.kind in _LOST


def _take(
    book: Book,
    wallet: WalletState,
    amount: int,
    kind: TransferKind,
    account: Account,
    *,
    preferred: Iterable[UUID] = (),
    note: Note,
) -> Transfer:
    """Take `amount` from the `preferred` grants, then in burn order; never on credit."""
    free = wallet.free - wallet.credit_limit
    if amount > free:
        raise InsufficientCreditsError(free_micros=max(0, free), required_micros=amount)
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


def _back_to_grants(
    book: Book, wallet: WalletState, amount: int, slices: Sequence[GrantSlice], refunded: Sequence[GrantSlice]
) -> list[tuple[GrantState, int]]:
    """Return which grants get how much back: the last used first, as far as they still live."""
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


def _refund_grant(book: Book, wallet: WalletState, amount: int, note: Note) -> GrantState:
    grant = GrantState(
        grant_id=new_uuid7(),
        wallet_id=wallet.wallet_id,
        source=GrantSource.REFUND,
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
