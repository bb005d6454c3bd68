"""Chart of accounts, kinds of transfers and sources of grants.

Every movement is one transfer from one account to another. Only wallets have rows; the balances of the other accounts are
sums over transfers, so that transfers of different wallets never wait for the same lock.
"""

from enum import IntEnum, StrEnum

__all__ = ["FLOWS", "GRANT_ORIGINS", "Account", "GrantSource", "TransferKind", "burn_class"]


class Account(IntEnum):
    """An account that a transfer debits or credits."""

    WALLET = 1
    """Credits owed to the owner."""
    REVENUE = 2
    """Used credits: earned."""
    PROMOTION = 3
    """Source of credits given away: initial, bonus and plan grants."""
    BREAKAGE = 4
    """Credits that expired unused."""
    SHORTFALL = 5
    """Usage that neither hold nor balance covered: a loss."""
    PURCHASES = 6
    """Source of purchased credits."""
    ADJUSTMENT = 7
    """Manual corrections."""


class TransferKind(IntEnum):
    """Why credits moved."""

    GRANT = 1
    CHARGE = 2
    LIMIT_CHARGE = 3
    """A charge paid from the credit limit: no grant covers it, later grants repay it."""
    SHORTFALL = 4
    EXPIRY = 5
    GRANT_VOID = 6
    REFUND = 7
    ADJUSTMENT = 8
    CHARGEBACK = 9
    REPRICE = 10
    """A charge for lines that had no price when they were settled."""
    CHARGEBACK_DEBT = 11
    """The part of a charge-back that no free credits cover: no grant pays it, later grants repay it."""
    REINSTATEMENT = 12
    """Credits of a charge-back that come back, because the payment was reinstated."""


class GrantSource(StrEnum):
    """Where a grant comes from."""

    PURCHASE = "purchase"
    BONUS = "bonus"
    INITIAL = "initial"
    REFUND = "refund"
    PLAN = "plan"
    OPENING = "opening"
    """Opening balance imported from another system."""
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
"""The account debited by a grant of each source."""

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
    TransferKind.CHARGEBACK_DEBT: (frozenset({Account.WALLET}), frozenset({Account.PURCHASES})),
    TransferKind.REINSTATEMENT: (frozenset({Account.PURCHASES}), frozenset({Account.WALLET, Account.SHORTFALL})),
}
"""Which accounts each kind of transfer may debit and credit; an upward adjustment is a grant of that source."""

_PAID = frozenset({GrantSource.PURCHASE, GrantSource.OPENING})


def burn_class(source: GrantSource) -> int:
    """Return the rank of the source in the burn order: free grants (0) are used before paid ones (1)."""
    return 1 if source in _PAID else 0
