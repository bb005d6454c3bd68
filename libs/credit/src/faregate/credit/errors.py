"""Errors of the credit ledger."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from faregate.core.errors import FaregateError, KeyConflictError, NotFoundError
from faregate.wire.credits import to_credits
from faregate.wire.errors import (
    AccessRefusedError,
    HoldClosedError,
    InsufficientCreditsError,
    UnavailableError,
    UnknownUsageKeyError,
)
from faregate.wire.exact_json import plain

__all__ = [
    "AlreadySettledError",
    "CreditError",
    "HoldClosedError",
    "HoldMismatchError",
    "InsufficientCreditsError",
    "NoPaymentMethodError",
    "NotClosableError",
    "NotRefundableError",
    "PaymentDeclinedError",
    "PaymentProviderError",
    "PaymentsOffError",
    "SpendingLimitError",
    "UnknownCloseError",
    "UnknownGrantError",
    "UnknownPackageError",
    "UnknownPurchaseError",
    "UnknownTransferError",
    "UnknownUsageKeyError",
    "UnknownWalletError",
    "UsageKeyConflictError",
    "WalletClosedError",
    "WalletFrozenError",
    "WebhookSignatureError",
    "hold_closed",
    "insufficient_credits",
    "unknown_usage_key",
]


class CreditError(FaregateError):
    """Base class of the errors of this library."""


def insufficient_credits(*, free_micros: int, required_micros: int) -> InsufficientCreditsError:
    """Return the error for a wallet with too few free credits."""
    balance, required = to_credits(free_micros), to_credits(required_micros)
    return InsufficientCreditsError(
        f"Insufficient credits: {plain(balance)} free, {plain(required)} needed; top up or ask for less",
        balance=balance,
        required=required,
    )


class WalletFrozenError(CreditError, AccessRefusedError):
    """An operator has frozen the wallet: it accepts no new holds or debits."""

    code = "wallet_frozen"

    def __init__(self) -> None:
        super().__init__("The wallet is frozen; ask the operator to activate it", status="frozen")


class WalletClosedError(CreditError, AccessRefusedError):
    """An operator has closed the wallet: it accepts no new holds, debits or grants."""

    code = "wallet_closed"

    def __init__(self) -> None:
        super().__init__(
            "The wallet is closed and accepts no holds, debits or grants; to reopen it, set its status to active",
            status="closed",
        )


class UnknownWalletError(CreditError, NotFoundError):
    """The owner has no wallet yet; `initial_credits`, if given, are what it will begin with."""

    code = "unknown_wallet"

    def __init__(self, owner_id: str, *, initial_credits: Decimal | None = None) -> None:
        facts: dict[str, Any] = {} if initial_credits is None else {"initial_credits": initial_credits}
        super().__init__(
            f"{owner_id!r} has no wallet yet; it is created on first use, or with PUT "
            f"/api/wallets/{quote(owner_id, safe=':@')}",
            **facts,
        )


def unknown_usage_key(usage_key: str) -> UnknownUsageKeyError:
    """Return the error for a usage key that no charge has."""
    return UnknownUsageKeyError(f"No use is known by the key {usage_key!r}; start one first", param="usage_key")


class UnknownGrantError(CreditError, NotFoundError):
    """The wallet has no grant with this id."""

    code = "unknown_grant"

    def __init__(self, grant_id: object) -> None:
        super().__init__(f"No grant {grant_id} in this wallet", param="grant_id")


class UnknownTransferError(CreditError, NotFoundError):
    """The wallet has no transfer with this id."""

    code = "unknown_transaction"

    def __init__(self, transaction_id: str) -> None:
        super().__init__(
            f"No transaction {transaction_id!r}; ids are listed by GET /api/wallets/…/transactions", param="id"
        )


class UsageKeyConflictError(CreditError, KeyConflictError):
    """The usage key was already used for a different call."""

    def __init__(self, usage_key: str, detail: str) -> None:
        super().__init__(f"The usage key {usage_key!r} {detail}", param="usage_key", usage_key=usage_key)


class HoldMismatchError(CreditError, KeyConflictError):
    """The user, feature or organisation differs from the one that the hold was opened for."""

    code = "hold_mismatch"

    def __init__(self, usage_key: str, param: str) -> None:
        super().__init__(f"{param} is not the one that {usage_key!r} was started for", param=param, usage_key=usage_key)


class AlreadySettledError(CreditError, HoldClosedError):
    """The use is already settled; only a correction can change it."""

    code = "already_settled"

    def __init__(self, usage_key: str) -> None:
        super().__init__(
            f"{usage_key!r} is already settled; use a refund or an adjustment to change it", usage_key=usage_key
        )


def hold_closed(usage_key: str, status: str) -> HoldClosedError:
    """Return the error for a hold that was voided or has expired."""
    return HoldClosedError(
        f"The hold of {usage_key!r} is {status}; start a new use with a new usage key",
        usage_key=usage_key,
        status=status,
    )


class SpendingLimitError(CreditError, InsufficientCreditsError):
    """A member, a user or an API key has reached its spending limit of this period; `balance` is what is left of it."""

    code = "member_limit"

    def __init__(self, *, scope: str, period: str, limit_micros: int, used_micros: int, required_micros: int) -> None:
        limit, used = to_credits(limit_micros), to_credits(used_micros)
        required = to_credits(required_micros)
        span = "in total" if period == "total" else f"per {period}"
        super().__init__(
            f"The {scope} limit of {plain(limit)} credits {span} is reached: {plain(used)} used, "
            f"{plain(required)} needed; raise the limit or wait for the next period",
            balance=to_credits(max(0, limit_micros - used_micros)),
            limit=limit,
            used=used,
            required=required,
            period=period,
            limited=scope,
        )


class PaymentDeclinedError(CreditError):
    """The payment provider declined a top-up order."""

    code = "payment_declined"


class PaymentsOffError(CreditError):
    """Payments are not set up in this deployment."""

    code = "payments_off"

    def __init__(self, setting: str) -> None:
        super().__init__(f"Payments are not set up; the operator must set {setting}", setting=setting)


class PaymentProviderError(CreditError, UnavailableError):
    """The payment provider did not answer, or refused the call; nothing is known to have been paid."""


class WebhookSignatureError(CreditError):
    """A webhook is not signed by the payment provider."""

    code = "bad_signature"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Stripe-Signature does not match: {problem}; set FAREGATE_STRIPE_WEBHOOK_SECRET to the secret of this endpoint, and "
            "pass the body on unchanged",
            param="Stripe-Signature",
        )


class UnknownPackageError(CreditError, NotFoundError):
    """No package of credits has this key."""

    code = "unknown_package"

    def __init__(self, key: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"No package {key!r} is for sale; choose one of: {names}", param="package")


class UnknownPurchaseError(CreditError, NotFoundError):
    """There is no purchase with this id."""

    code = "unknown_purchase"

    def __init__(self, purchase_id: object) -> None:
        super().__init__(f"No purchase {purchase_id}; ids are listed by GET /api/payments", param="purchase_id")


class NoPaymentMethodError(CreditError):
    """The owner has saved no payment method."""

    code = "no_payment_method"

    def __init__(self) -> None:
        super().__init__("No payment method is saved; buy a package once, and choose to save the payment method")


class NotRefundableError(CreditError):
    """The refund is larger than the part of the charge that is not refunded yet."""

    code = "not_refundable"

    def __init__(self, *, left_micros: int, asked_micros: int) -> None:
        left, asked = to_credits(left_micros), to_credits(asked_micros)
        super().__init__(
            f"Only {plain(left)} of the requested {plain(asked)} credits can still be refunded",
            param="credits",
            refundable=left,
        )


class UnknownCloseError(CreditError, NotFoundError):
    """The month is not closed."""

    code = "unknown_close"

    def __init__(self, period: str) -> None:
        super().__init__(
            f"The month {period!r} is not closed; close it first, or list the closed months", param="period"
        )


class NotClosableError(CreditError):
    """The month cannot be closed now: it is not over, or an earlier one must be closed first."""

    code = "not_closable"
