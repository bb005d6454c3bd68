"""Bodies and answers of `/api/wallets`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from faregate.core.values.fields import AtMost, Body, Count, Credits, ExternalId, Moment, Note, Text
from faregate.credit.values import CreditTransaction, Grant, Wallet
from faregate.gateway.schemas.base import Answer

__all__ = [
    "GrantAnswer",
    "GrantBody",
    "GrantedAnswer",
    "TransactionAnswer",
    "WalletAnswer",
    "WalletBody",
    "grant_answer",
    "transaction_answer",
    "wallet_answer",
]


class TransactionAnswer(Answer):
    """One transaction: `amount` is signed, `balance` is the balance after it."""

    id: str
    kind: str
    amount: Decimal
    balance: Decimal
    usage_key: str | None
    feature_key: str | None
    corrects: str | None
    reason: str | None
    actor: str | None
    executed_at: datetime


class GrantAnswer(Answer):
    """One grant."""

    id: str
    credits: Decimal
    remaining: Decimal
    source: str
    priority: int
    status: str
    effective_at: datetime
    expires_at: datetime | None
    features: list[str] | None
    every: str | None
    renews_at: datetime | None
    key: str | None
    reason: str | None
    actor: str | None
    voided_by: str | None
    void_reason: str | None
    created_at: datetime


class TopUpAnswer(Answer):
    """When the balance falls below `below`, `credits` are ordered."""

    below: Decimal
    credits: Decimal


class WalletAnswer(Answer):
    """A wallet. `credits` are the free credits: balance + credit_limit - held - earmarked."""

    owner_id: str
    email: str | None
    organization_id: str | None
    credits: Decimal
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    credit_limit: Decimal
    debt: Decimal
    status: str
    plan: str | None
    low_balance: Decimal | None
    top_up: TopUpAnswer | None
    grants: list[GrantAnswer]


class TopUpBody(Body):
    """Automatic top-up: when the balance falls below `below`, order `credits`."""

    below: Annotated[Credits, Field(ge=0)]
    credits: Annotated[Credits, Field(gt=0)]


class WalletBody(Body):
    """`PUT /api/wallets/{owner_id}`: fields that are left out stay unchanged, null clears a field."""

    email: Note | None = None
    organization_id: ExternalId | None = None
    plan: ExternalId | None = None
    credit_limit: Annotated[Credits, Field(ge=0)] | None = None
    low_balance: Annotated[Credits, Field(ge=0)] | None = None
    status: Literal["active", "frozen", "closed"] | None = None
    top_up: TopUpBody | None = None

    def fields(self) -> dict[str, Any]:
        """Return the given fields in the form of `WalletChange`."""
        given = self.model_dump(exclude_unset=True)
        if self.top_up is not None:
            given["top_up"] = (self.top_up.below, self.top_up.credits)
        return given


class GrantBody(Body):
    """`POST /api/wallets/{owner_id}/grants`."""

    credits: Annotated[Credits, Field(gt=0)]
    source: Literal["purchase", "bonus", "initial", "refund", "plan", "opening"]
    priority: Annotated[Count, Field(ge=0, le=1000)] = 50
    effective_at: Moment | None = None
    expires_at: Moment | None = None
    features: Annotated[list[ExternalId], AtMost(1000)] | None = None
    every: Text | None = Field(
        default=None, description="interval of a recurring grant: 'day', 'week', 'month', 'year', '3 days' …"
    )
    rollover_min: Annotated[Credits, Field(ge=0)] = Decimal(0)
    rollover_max: Annotated[Credits, Field(ge=0)] = Decimal(0)
    key: ExternalId | None = Field(default=None, description="calls with the same key make one grant on a wallet")
    reason: Note | None = None


class GrantedAnswer(Answer):
    """The grant, and the wallet after it."""

    grant: GrantAnswer
    credits: Decimal
    balance: Decimal


def transaction_answer(transaction: CreditTransaction) -> TransactionAnswer:
    """Return one transaction."""
    return TransactionAnswer.of(transaction)


def grant_answer(grant: Grant) -> GrantAnswer:
    """Return one grant."""
    return GrantAnswer.of(grant, features=list(grant.features) if grant.features is not None else None)


def wallet_answer(wallet: Wallet, *, organization_id: str | None) -> WalletAnswer:
    """Return a wallet with its grants."""
    return WalletAnswer.of(
        wallet,
        organization_id=organization_id,
        credits=wallet.free,
        top_up=_top_up(wallet),
        grants=[grant_answer(grant) for grant in wallet.grants],
    )


def _top_up(wallet: Wallet) -> TopUpAnswer | None:
    if wallet.top_up_below is None or wallet.top_up_credits is None:
        return None
    return TopUpAnswer(below=wallet.top_up_below, credits=wallet.top_up_credits)
