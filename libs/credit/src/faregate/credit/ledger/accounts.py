"""The chart of accounts: between which accounts credits move, and why.

Every movement is one transfer from one account to another. Only the wallet has a row of its own; the others are sums
over transfers, so that no two wallets ever wait for one another.
"""

from enum import IntEnum, StrEnum

__all__ = ["FLOWS", "GRANT_ORIGINS", "Account", "GrantSource", "TransferKind", "burn_class"]


class Account(IntEnum):
    """Where credits can be."""

    WALLET = 1
    """What we owe the owner."""
    REVENUE = 2
    """Used: earned by us."""
    PROMOTION = 3
    """Given away: initial, bonus and plan grants."""
    BREAKAGE = 4
    """Lapsed unused."""
    SHORTFALL = 5
    """Used, but neither held nor covered: our loss."""
    PURCHASES = 6
    """Paid for."""
    ADJUSTMENT = 7
    """Corrected by hand."""


class TransferKind(IntEnum):
    """Why credits moved."""

    GRANT = 1
    CHARGE = 2
    LIMIT_CHARGE = 3
    """A charge that the credit limit pays: no grant stands behind it, the next grants repay it."""
    SHORTFALL = 4
    EXPIRY = 5
    GRANT_VOID = 6
    REFUND = 7
    ADJUSTMENT = 8
    CHARGEBACK = 9
    REPRICE = 10
    """A charge for lines that had no price when they were settled."""


class GrantSource(StrEnum):
    """Where a grant comes from."""

    PURCHASE = "purchase"
    BONUS = "bonus"
    INITIAL = "initial"
    REFUND = "refund"
    PLAN = "plan"
    OPENING = "opening"
    """Brought along from another system."""
    ADJUSTMENT = "adjustment"


GRANT_ORIGINS: dict[GrantSource, Account] = {
    GrantSource.PURCHASE: Account.PURCHASES,
    GrantSource.OPENING: Account.PURCHASES,
    GrantSource.BONUS: Account.PROMOTION,
    GrantSource.INITIAL: Account.PROMOTION,
    GrantSource.PLAN: Account.PROMOTION,
    GrantSource.REFUND: Account.REVENUE,
    GrantSource.ADJUSTMENT: Account.ADJUSTMENT,
}
"""The account that a grant of each source is taken from."""

_ORIGINS = frozenset(GRANT_ORIGINS.values())

FLOWS: dict[TransferKind, tuple[frozenset[Account], frozenset[Account]]] = {
    TransferKind.GRANT: (_ORIGINS, frozenset({Account.WALLET})),
    TransferKind.CHARGE: (frozenset({Account.WALLET}), frozenset({Account.REVENUE})),
    TransferKind.LIMIT_CHARGE: (frozenset({Account.WALLET}), frozenset({Account.REVENUE})),
    TransferKind.SHORTFALL: (frozenset({Account.SHORTFALL}), frozenset({Account.REVENUE, Account.PURCHASES})),
    TransferKind.EXPIRY: (frozenset({Account.WALLET}), frozenset({Account.BREAKAGE})),
    TransferKind.GRANT_VOID: (frozenset({Account.WALLET}), _ORIGINS),
    TransferKind.REFUND: (frozenset({Account.REVENUE}), frozenset({Account.WALLET})),
    TransferKind.ADJUSTMENT: (frozenset({Account.WALLET}), frozenset({Account.ADJUSTMENT})),
    TransferKind.CHARGEBACK: (frozenset({Account.WALLET}), frozenset({Account.PURCHASES})),
    TransferKind.REPRICE: (frozenset({Account.WALLET}), frozenset({Account.REVENUE})),
}
"""Which accounts each kind of transfer may debit and credit; an upward adjustment is a grant of that source."""

_PAID = frozenset({GrantSource.PURCHASE, GrantSource.OPENING})


def burn_class(source: GrantSource) -> int:
    """Return the class of the burn order: what was given (0) is used before what was paid for (1)."""
    return 1 if source in _PAID else 0
