"""Controller of `/api/payments` and `/api/payment-events`: purchases through Stripe."""

from datetime import datetime
from uuid import UUID

from faregate.core.errors import MalformedError, MissingExtraError
from faregate.credit.errors import (
    PaymentProviderError,
    PaymentsOffError,
    UnknownPackageError,
    UnknownPurchaseError,
    WebhookSignatureError,
)
from faregate.credit.payments.checkout import CheckoutService
from faregate.credit.payments.service import PaymentService
from faregate.credit.payments.stripe_inbox import StripeInbox
from faregate.credit.payments.values import PurchaseAddresses
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.operation import Audit, Call, Controller, Page, Reply, link, operation
from faregate.gateway.observability.metrics import GatewayMetrics
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.payments import (
    CheckoutBody,
    PaymentEventAnswer,
    PaymentEventsQuery,
    PurchaseAnswer,
    PurchaseDetailAnswer,
    PurchasesQuery,
    ReceiptAnswer,
    event_answer,
    purchase_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["PaymentsController"]

_WEBHOOK_LIMIT_BYTES = 256 * 1024


class PaymentsController(Controller):
    """Purchases and the webhook of Stripe over HTTP. No call has a transaction open while Stripe answers."""

    def __init__(
        self, payments: PaymentService, checkouts: CheckoutService, inbox: StripeInbox, metrics: GatewayMetrics
    ) -> None:
        self._payments = payments
        self._checkouts = checkouts
        self._inbox = inbox
        self._metrics = metrics

    @operation(
        "POST",
        "/api/payments",
        scope=Scope.CREDITS_PROCESS,
        answer=PurchaseAnswer,
        status=201,
        idempotent=False,
        errors=(UnknownPackageError, PaymentsOffError, PaymentProviderError, MissingExtraError),
        links={"read": link("payments.get_purchase", path={"purchase_id": "id"})},
    )
    async def open_checkout(self, call: Call, body: CheckoutBody) -> PurchaseAnswer:
        """Open a checkout at Stripe: send the customer's browser to `url`.

        The credits are granted when Stripe reports the payment. Calls with the same `Idempotency-Key` return the same purchase.
        """
        addresses = PurchaseAddresses(body.success_url, body.cancel_url)
        return purchase_answer(
            await self._checkouts.open(
                body.owner_id, body.package, addresses, save=body.save_payment_method, key=call.derived_key
            )
        )

    @operation(
        "POST",
        "/api/payments/stripe",
        scope=None,
        answer=ReceiptAnswer,
        errors=(WebhookSignatureError, MalformedError, PaymentsOffError, MissingExtraError),
        body_limit_bytes=_WEBHOOK_LIMIT_BYTES,
        audit=Audit.NEVER,
    )
    async def receive_event(self, call: Call, body: RawBody) -> ReceiptAnswer:
        """Receive an event of Stripe, signed with FAREGATE_STRIPE_WEBHOOK_SECRET.

        Events may come twice and in any order. Those of an unknown purchase are kept until it is known.
        """
        signature = call.request.headers.get("stripe-signature")
        receipt = await self._inbox.receive(await body.bytes(), signature)
        self._metrics.payment_event(receipt.value)
        return ReceiptAnswer(receipt=receipt.value)

    @operation(
        "GET",
        "/api/payments",
        scope=Scope.WALLETS_READ,
        answer=list[PurchaseAnswer],
        links={"read": link("payments.get_purchase", path={"purchase_id": "0/id"})},
        audit=Audit.PERSONAL,
    )
    async def list_purchases(self, query: PurchasesQuery) -> Page:
        """List purchases, the newest first."""
        position = position_of(query.cursor, datetime, UUID)
        found = await self._payments.purchases(
            owner_id=query.owner_id,
            status=query.status,
            before=(position[0], position[1]) if position else None,
            limit=query.limit,
        )
        cursor = cursor_of(found[-1].created_at, found[-1].id) if len(found) == query.limit else None
        return Page([purchase_answer(purchase) for purchase in found], cursor)

    @operation(
        "GET",
        "/api/payments/{purchase_id}",
        scope=Scope.WALLETS_READ,
        answer=PurchaseDetailAnswer,
        errors=(UnknownPurchaseError,),
        audit=Audit.PERSONAL,
    )
    async def get_purchase(self, purchase_id: UUID) -> PurchaseDetailAnswer:
        """Return a purchase and the events of its payment."""
        purchase, events = await self._payments.purchase(purchase_id)
        return PurchaseDetailAnswer.of(purchase, events=[event_answer(event) for event in events])

    @operation("GET", "/api/payment-events", scope=Scope.WALLETS_READ, answer=list[PaymentEventAnswer])
    async def list_waiting_events(self, query: PaymentEventsQuery) -> Reply:
        """List the events whose purchase is not known, the latest first: of another shop, or earlier than their purchase."""
        found = await self._payments.waiting_events(limit=query.limit)
        return Reply([event_answer(event) for event in found])
