"""Credits: wallets, grants, holds and a verifiable ledger."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.credit.container import CreditContainer
    from faregate.credit.errors import (
        AlreadySettledError,
        CreditError,
        HoldClosedError,
        HoldMismatchError,
        InsufficientCreditsError,
        UnknownUsageKeyError,
        UnknownWalletError,
        UsageKeyConflictError,
        WalletClosedError,
        WalletFrozenError,
    )
    from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
    from faregate.credit.ledger.grants import GrantSpec
    from faregate.credit.services.credits import CreditService
    from faregate.credit.values import Charge, CreditTransaction, Grant, Wallet
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["CreditContainer"],
            "errors": [
                "AlreadySettledError",
                "CreditError",
                "HoldClosedError",
                "HoldMismatchError",
                "InsufficientCreditsError",
                "UnknownUsageKeyError",
                "UnknownWalletError",
                "UsageKeyConflictError",
                "WalletClosedError",
                "WalletFrozenError",
            ],
            "ledger.accounts": ["Account", "GrantSource", "TransferKind"],
            "ledger.grants": ["GrantSpec"],
            "services.credits": ["CreditService"],
            "values": ["Charge", "CreditTransaction", "Grant", "Wallet"],
        },
    )

__all__ = [
    "Account",
    "AlreadySettledError",
    "Charge",
    "CreditContainer",
    "CreditError",
    "CreditService",
    "CreditTransaction",
    "Grant",
    "GrantSource",
    "GrantSpec",
    "HoldClosedError",
    "HoldMismatchError",
    "InsufficientCreditsError",
    "TransferKind",
    "UnknownUsageKeyError",
    "UnknownWalletError",
    "UsageKeyConflictError",
    "Wallet",
    "WalletClosedError",
    "WalletFrozenError",
]
