"""Controller of `/api/portal/payments`: what a visitor of the customers' page buys."""

from uuid import UUID

from faregate.core.errors import MissingExtraError
from faregate.credit.errors import (
    NoPaymentMethodError,
    PaymentProviderError,
    PaymentsOffError,
    UnknownPackageError,
    UnknownPurchaseError,
    UnknownWalletError,
)
from faregate.credit.payments.checkout import CheckoutService
from faregate.credit.payments.service import PaymentService
from faregate.credit.payments.values import PurchaseAddresses
from faregate.gateway.http.operation import Call, Controller, link, operation
from faregate.gateway.schemas.payments import (
    AutomaticTopUpAnswer,
    AutomaticTopUpBody,
    PortalPaymentsAnswer,
    PortalPurchaseAnswer,
    PortalPurchaseBody,
    automatic_answer,
    package_answer,
    portal_purchase_answer,
)

__all__ = ["PortalPaymentsController"]

_LATEST = 10


class PortalPaymentsController(Controller):
    """Packages, purchases and the automatic top-up of one owner: that of the link."""

    def __init__(self, payments: PaymentService, checkouts: CheckoutService, public_url: str | None) -> None:
        self._payments = payments
        self._checkouts = checkouts
        self._public_url = public_url

    @operation(
        "GET",
        "/api/portal/payments",
        scope=None,
        portal=True,
        answer=PortalPaymentsAnswer,
        errors=(UnknownWalletError,),
    )
    async def payments(self, call: Call) -> PortalPaymentsAnswer:
        """Return the packages for sale, the owner's automatic top-up and latest purchases."""
        owner_id = call.visitor.owner_id
        found = await self._payments.purchases(owner_id=owner_id, limit=_LATEST)
        return PortalPaymentsAnswer(
            packages=[package_answer(package) for package in self._checkouts.offered],
            automatic=automatic_answer(await self._checkouts.automatic(owner_id)),
            purchases=[portal_purchase_answer(purchase) for purchase in found],
        )

    @operation(
        "POST",
        "/api/portal/purchases",
        scope=None,
        portal=True,
        answer=PortalPurchaseAnswer,
        status=201,
        idempotent=False,
        errors=(UnknownPackageError, PaymentsOffError, PaymentProviderError, MissingExtraError),
        links={"read": link("portal.purchase", path={"purchase_id": "id"})},
    )
    async def buy(self, call: Call, body: PortalPurchaseBody) -> PortalPurchaseAnswer:
        """Open a checkout of a package; the browser goes to its `url`, and comes back to this page."""
        url = call.request.url
        page = f"{self._public_url or f'{url.scheme}://{url.netloc}'}/portal/{call.visitor.link_id}"
        addresses = PurchaseAddresses(f"{page}?purchase={{purchase}}", page)
        made = await self._checkouts.open(
            call.visitor.owner_id, body.package, addresses, save=body.save_payment_method, key=call.derived_key
        )
        return portal_purchase_answer(made)

    @operation(
        "GET",
        "/api/portal/purchases/{purchase_id}",
        scope=None,
        portal=True,
        answer=PortalPurchaseAnswer,
        errors=(UnknownPurchaseError,),
    )
    async def purchase(self, call: Call, purchase_id: UUID) -> PortalPurchaseAnswer:
        """Return one purchase of the owner."""
        found, _ = await self._payments.purchase(purchase_id)
        if found.owner_id != call.visitor.owner_id:
            raise UnknownPurchaseError(purchase_id)
        return portal_purchase_answer(found)

    @operation(
        "PUT",
        "/api/portal/top-up",
        scope=None,
        portal=True,
        answer=AutomaticTopUpAnswer,
        errors=(UnknownWalletError, UnknownPackageError, NoPaymentMethodError),
    )
    async def set_top_up(self, call: Call, body: AutomaticTopUpBody) -> AutomaticTopUpAnswer:
        """Buy a package whenever the balance falls below an amount, from the saved payment method."""
        return automatic_answer(await self._checkouts.set_automatic(call.visitor.owner_id, body.below, body.package))

    @operation(
        "DELETE",
        "/api/portal/top-up",
        scope=None,
        portal=True,
        answer=AutomaticTopUpAnswer,
        errors=(UnknownWalletError,),
    )
    async def stop_top_up(self, call: Call) -> AutomaticTopUpAnswer:
        """Stop the automatic top-up; the payment method stays saved."""
        return automatic_answer(await self._checkouts.stop_automatic(call.visitor.owner_id))

    @operation(
        "DELETE",
        "/api/portal/payment-method",
        scope=None,
        portal=True,
        answer=AutomaticTopUpAnswer,
        errors=(UnknownWalletError, PaymentsOffError, PaymentProviderError, MissingExtraError),
    )
    async def forget_method(self, call: Call) -> AutomaticTopUpAnswer:
        """Stop the automatic top-up and remove the saved payment method, also at Stripe."""
        return automatic_answer(await self._checkouts.stop_automatic(call.visitor.owner_id, forget=True))
