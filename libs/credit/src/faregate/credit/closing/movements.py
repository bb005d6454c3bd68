"""Columns of a statement: which transfers each one adds up. Pure.

opening + granted - used - expired - voided + refunded + adjusted - charged_back = closing, for each wallet and in total.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from faregate.credit.ledger.accounts import Account, TransferKind

__all__ = ["FATES", "MOVEMENTS", "SIGNS", "Fate", "Movement", "fate_of", "movement_of", "movements_of", "signed"]


class Movement(StrEnum):
    """A column of a statement, in credits."""

    GRANTED = "granted"
    USED = "used"
    EXPIRED = "expired"
    VOIDED = "voided"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"
    CHARGED_BACK = "charged_back"


SIGNS: Mapping[Movement, int] = {
    Movement.GRANTED: 1,
    Movement.USED: -1,
    Movement.EXPIRED: -1,
    Movement.VOIDED: -1,
    Movement.REFUNDED: 1,
    Movement.ADJUSTED: 1,
    Movement.CHARGED_BACK: -1,
}
"""How each column enters the balance. What moves a wallet the other way reduces its column."""

MOVEMENTS: Mapping[TransferKind, Movement | None] = {
    TransferKind.GRANT: Movement.GRANTED,
    TransferKind.CHARGE: Movement.USED,
    TransferKind.LIMIT_CHARGE: Movement.USED,
    TransferKind.SHORTFALL: None,
    TransferKind.EXPIRY: Movement.EXPIRED,
    TransferKind.GRANT_VOID: Movement.VOIDED,
    TransferKind.REFUND: Movement.REFUNDED,
    TransferKind.ADJUSTMENT: Movement.ADJUSTED,
    TransferKind.CHARGEBACK: Movement.CHARGED_BACK,
    TransferKind.REPRICE: Movement.USED,
    TransferKind.CHARGEBACK_DEBT: Movement.CHARGED_BACK,
    TransferKind.REINSTATEMENT: Movement.CHARGED_BACK,
}
"""The column of each kind of transfer; None for kinds that move no wallet. A reinstatement reduces what was charged back.
An upward adjustment is a grant: see `movement_of`."""


class Fate(StrEnum):
    """What became of credits of a grant."""

    USED = "used"
    EXPIRED = "expired"
    FORFEITED = "forfeited"
    """Taken back by a void, an adjustment or a chargeback."""


FATES: Mapping[Movement, Fate | None] = {
    Movement.GRANTED: None,
    Movement.USED: Fate.USED,
    Movement.EXPIRED: Fate.EXPIRED,
    Movement.VOIDED: Fate.FORFEITED,
    Movement.REFUNDED: Fate.USED,
    Movement.ADJUSTED: Fate.FORFEITED,
    Movement.CHARGED_BACK: Fate.FORFEITED,
}
"""What a transfer of each column means for the grants that it takes from (or returns to, which reduces the sum)."""


def movement_of(kind: TransferKind, debit: Account) -> Movement | None:
    """Return the column of a transfer; None if it moves no wallet."""
    if kind is TransferKind.GRANT and debit is Account.ADJUSTMENT:
        return Movement.ADJUSTED
    return MOVEMENTS[kind]


def fate_of(kind: TransferKind) -> Fate | None:
    """Return what a slice of such a transfer means for its grant; None for a filling."""
    movement = MOVEMENTS[kind]
    return FATES[movement] if movement is not None else None


def signed(debit: Account, credit: Account, amount: int) -> int:
    """Return by how much a transfer changes the balance of its wallet."""
    if credit is Account.WALLET:
        return amount
    return -amount if debit is Account.WALLET else 0


def movements_of(transfers: Iterable[tuple[TransferKind, Account, Account, int]]) -> dict[Movement, int]:
    """Return the columns of transfers given as kind, debit account, credit account and amount."""
    sums = dict.fromkeys(Movement, 0)
    for kind, debit, credit, amount in transfers:
        movement = movement_of(kind, debit)
        if movement is not None:
            sums[movement] += SIGNS[movement] * signed(debit, credit, amount)
    return sums
