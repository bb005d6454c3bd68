"""Payment of automatic top-ups from a payment method saved at Stripe."""

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.credit.errors import NoPaymentMethodError, PaymentDeclinedError, PaymentProviderError
from faregate.credit.interfaces import Payment, PaymentOrder
from faregate.credit.payments.packages import Packages
from faregate.credit.payments.repository import NewPurchase, PurchaseRepository, StoredPurchase
from faregate.credit.payments.rules import PaymentFacts
from faregate.credit.payments.service import PaymentService
from faregate.credit.payments.stripe_api import PaymentAttempt, StripeApi
from faregate.credit.payments.values import PaymentEvent
from faregate.wire.credits import to_micros

__all__ = ["StripeProvider"]

_ENDED = frozenset({"requires_payment_method", "requires_action", "requires_confirmation", "canceled"})
"""Statuses from which a payment without its owner goes no further."""


class StripeProvider:
    """Charges saved payment methods. The purchase has the id of the order, so that each order is paid once.

    What Stripe answers is taken like one of its events; the event itself, before or after, changes nothing more.
    """

    def __init__(
        self,
        database: Database,
        repository: PurchaseRepository,
        subjects: Subjects,
        packages: Packages,
        payments: PaymentService,
        stripe: StripeApi,
        clock: IClock,
    ) -> None:
        self._database = database
        self._purchases = repository
        self._subjects = subjects
        self._packages = packages
        self._payments = payments
        self._stripe = stripe
        self._clock = clock

    async def pay(self, order: PaymentOrder) -> Payment:
        """See `ITopUpProvider.pay`."""
        purchase, customer, method, known = await self._database.run(lambda session: self._prepare(session, order))
        if customer is None or method is None:
            raise PaymentDeclinedError(NoPaymentMethodError().detail)
        try:
            charge = await self._charge(purchase, customer, method, known=known)
        except PaymentDeclinedError as declined:
            await self._note(purchase, None, declined.detail)
            raise
        if charge.paid:
            await self._note(purchase, charge, None)
            return Payment(charge.payment_intent)
        if charge.status in _ENDED:
            await self._note(purchase, charge, charge.status)
            raise PaymentDeclinedError(f"{charge.status}: the owner has to complete the payment")
        raise PaymentProviderError(
            f"the payment {charge.payment_intent} is {charge.status}; its outcome is not known yet"
        )

    async def _prepare(
        self, session: AsyncSession, order: PaymentOrder
    ) -> tuple[StoredPurchase, str | None, str | None, bool]:
        """Store the purchase of an order; the last of the results is whether an earlier call has stored it."""
        owner = (await self._subjects.ensure(session, [order.owner_id]))[order.owner_id]
        known = await self._purchases.get(session, order.order_id)
        customer, method = await self._purchases.saved_method(session, owner.subject_id)
        if known is not None:
            return known, customer, method, True
        package, amount = self._packages.price_of(order.credits)
        new = NewPurchase(
            order.order_id, owner.subject_id, package, to_micros(order.credits), amount, order_id=order.order_id
        )
        return await self._purchases.add(session, new), customer, method, False

    async def _charge(self, purchase: StoredPurchase, customer: str, method: str, *, known: bool) -> PaymentAttempt:
        """PaymentAttempt the payment method, unless an earlier call has done so."""
        if purchase.payment_intent is not None:
            return await self._stripe.retrieve(purchase.payment_intent)
        if known:
            found = await self._stripe.find_charge(purchase.purchase_id, customer=customer, since=purchase.created_at)
            if found is not None:
                return found
        return await self._stripe.charge(purchase.purchase_id, amount=purchase.amount, customer=customer, method=method)

    async def _note(self, purchase: StoredPurchase, charge: PaymentAttempt | None, failure: str | None) -> None:
        """Take what Stripe answered as an event of the purchase."""
        intent = charge.payment_intent if charge is not None else None
        paid = charge.paid if charge is not None else 0
        await self._payments.take(
            PaymentEvent(
                event_id=f"answer:{purchase.purchase_id}:{'paid' if paid else 'declined'}",
                type="answer",
                object_id=intent or str(purchase.purchase_id),
                occurred_at=self._clock.now(),
                facts=PaymentFacts(paid=paid, failed=not paid),
                purchase_id=purchase.purchase_id,
                payment_intent=intent,
                failure=failure,
            )
        )
