"""Bodies, queries and answers of payments."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from faregate.core.values.fields import Body, Credits, ExternalId, Flag
from faregate.credit.payments.values import AutomaticTopUp, Package, Purchase, RecordedEvent
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = [
    "AutomaticTopUpAnswer",
    "AutomaticTopUpBody",
    "CheckoutBody",
    "PackageAnswer",
    "PaymentEventAnswer",
    "PaymentEventsQuery",
    "PortalPaymentsAnswer",
    "PortalPurchaseAnswer",
    "PortalPurchaseBody",
    "PurchaseAnswer",
    "PurchaseDetailAnswer",
    "PurchasesQuery",
    "ReceiptAnswer",
    "automatic_answer",
    "event_answer",
    "package_answer",
    "portal_purchase_answer",
    "purchase_answer",
]

_Address = Annotated[
    str,
    Field(
        max_length=2000,
        pattern=r"^https?://[^\s]+$",
        description="`{purchase}` in it is replaced by the purchase's id",
        examples=["https://app.example.com/credits?bought={purchase}"],
    ),
]
_PackageKey = Annotated[str, Field(min_length=1, max_length=60, examples=["small"])]


class CheckoutBody(Body):
    """A package for one user or one organisation, and where the browser goes afterwards."""

    user_id: ExternalId | None = None
    organization_id: ExternalId | None = None
    package: _PackageKey
    success_url: _Address
    cancel_url: _Address
    save_payment_method: Flag = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.user_id is None) == (self.organization_id is None):
            raise ValueError("give either user_id or organization_id")
        return self

    @property
    def owner_id(self) -> str:
        """The owner of the wallet."""
        return self.user_id if self.user_id is not None else f"org:{self.organization_id}"


class PurchasesQuery(PageQuery):
    """Filters of purchases."""

    owner_id: ExternalId | None = None
    status: Literal["open", "paid", "failed", "expired", "partly_refunded", "refunded", "disputed"] | None = None


class PaymentEventsQuery(PageQuery):
    """How many of the latest events to list."""


class ReceiptAnswer(Answer):
    """What became of an event: applied, repeated, waiting (its purchase is not known yet) or ignored (of another type)."""

    receipt: str


class PurchaseAnswer(Answer):
    """A purchase. `taken` and `lost`: credits taken back or lost, because the payment was refunded or disputed."""

    id: UUID
    owner_id: str
    package: str | None
    credits: Decimal
    amount_usd: Decimal
    status: str
    granted: Decimal
    taken: Decimal
    lost: Decimal
    automatic: bool
    payment_intent: str | None
    failure: str | None
    url: str | None
    created_at: datetime
    paid_at: datetime | None


class PaymentEventAnswer(Answer):
    """One event of Stripe and what it says, in cents; `purchase_id` is null while no purchase is known for it."""

    event_id: str
    type: str
    object_id: str
    purchase_id: UUID | None
    payment_intent: str | None
    facts: dict[str, Any]
    occurred_at: datetime
    received_at: datetime


class PurchaseDetailAnswer(PurchaseAnswer):
    """A purchase and the events of its payment."""

    events: Sequence[PaymentEventAnswer]


class PackageAnswer(Answer):
    """Credits that are sold together."""

    key: str
    name: str
    credits: Decimal
    amount_usd: Decimal


class AutomaticTopUpAnswer(Answer):
    """The automatic top-up: `credits` are bought when the balance falls below `below`. `saved`: a payment method is saved."""

    saved: bool
    below: Decimal | None
    credits: Decimal | None


class AutomaticTopUpBody(Body):
    """Buy `package` whenever the balance falls below `below` credits."""

    below: Annotated[Credits, Field(ge=0)]
    package: _PackageKey


class PortalPurchaseBody(Body):
    """The package to buy; `save_payment_method` keeps the payment method for automatic top-ups."""

    package: _PackageKey
    save_payment_method: Flag = False


class PortalPurchaseAnswer(Answer):
    """A purchase as its owner sees it; `url` is where it is paid while it is open."""

    id: UUID
    credits: Decimal
    amount_usd: Decimal
    status: str
    automatic: bool
    url: str | None
    created_at: datetime


class PortalPaymentsAnswer(Answer):
    """What can be bought, the automatic top-up, and the latest purchases."""

    packages: Sequence[PackageAnswer]
    automatic: AutomaticTopUpAnswer
    purchases: Sequence[PortalPurchaseAnswer]


def purchase_answer(purchase: Purchase) -> PurchaseAnswer:
    """Return a purchase."""
    return PurchaseAnswer.of(purchase)


def event_answer(event: RecordedEvent) -> PaymentEventAnswer:
    """Return an event."""
    return PaymentEventAnswer.of(event)


def package_answer(package: Package) -> PackageAnswer:
    """Return a package."""
    return PackageAnswer.of(package, amount_usd=package.price_usd)


def automatic_answer(automatic: AutomaticTopUp) -> AutomaticTopUpAnswer:
    """Return an automatic top-up."""
    return AutomaticTopUpAnswer.of(automatic)


def portal_purchase_answer(purchase: Purchase) -> PortalPurchaseAnswer:
    """Return a purchase without what only operators see."""
    return PortalPurchaseAnswer.of(purchase)
