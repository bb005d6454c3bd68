"""Checkout service: opens checkouts of packages, and keeps saved payment methods."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.credit.errors import NoPaymentMethodError, UnknownPurchaseError
from faregate.credit.ledger.states import WalletState
from faregate.credit.payments.packages import Packages
from faregate.credit.payments.repository import NewPurchase, PurchaseRepository, StoredPurchase
from faregate.credit.payments.rules import PurchaseStatus, minor_units
from faregate.credit.payments.stripe_api import StripeApi
from faregate.credit.payments.values import AutomaticTopUp, Package, Purchase, PurchaseAddresses
from faregate.credit.services.credits import CreditService
from faregate.wire.credits import to_micros
from faregate.wire.ids import new_uuid7

__all__ = ["CheckoutService"]

_PURCHASE = "{purchase}"


class CheckoutService:
    """Opens checkouts. Owns its transactions, and has none open while Stripe answers."""

    def __init__(
        self,
        database: Database,
        credit: CreditService,
        repository: PurchaseRepository,
        packages: Packages,
        stripe: StripeApi,
    ) -> None:
        self._database = database
        self._credit = credit
        self._purchases = repository
        self._packages = packages
        self._stripe = stripe

    @property
    def packages(self) -> list[Package]:
        """The packages for sale, the smallest first."""
        return self._packages.all()

    @property
    def offered(self) -> list[Package]:
        """The packages that can be bought now: none while Stripe is not set up."""
        return self._packages.all() if self._stripe.is_set_up else []

    async def open(
        self,
        owner_id: str,
        package_key: str,
        addresses: PurchaseAddresses,
        *,
        save: bool = False,
        key: str | None = None,
    ) -> Purchase:
        """Open a checkout of one package; credits and price are agreed now, whatever the package costs later.

        Args:
            save: keep the payment method for automatic top-ups.
            key: a repeated call with the same key returns the same purchase.

        Raises:
            UnknownPackageError: no such package is for sale.
            PaymentsOffError, PaymentProviderError: Stripe is not set up, or does not answer.
        """
        package = self._packages.get(package_key)
        self._stripe.require()
        purchase, customer = await self._database.run(lambda session: self._add(session, owner_id, package, key))
        if purchase.status != PurchaseStatus.OPEN or purchase.url is not None:
            return purchase.view(owner_id)
        opened = await self._stripe.open_checkout(
            purchase.purchase_id,
            name=package.name,
            amount=purchase.amount,
            customer=customer,
            save=save,
            success_url=addresses.success.replace(_PURCHASE, str(purchase.purchase_id)),
            cancel_url=addresses.cancel.replace(_PURCHASE, str(purchase.purchase_id)),
        )

        async def keep(session: AsyncSession) -> Purchase:
            await self._purchases.opened(session, purchase.purchase_id, session_id=opened.session_id, url=opened.url)
            return (await self._get(session, purchase.purchase_id)).view(owner_id)

        return await self._database.run(keep)

    async def refund(self, purchase_id: UUID, *, amount_usd: Decimal | None, key: str | None = None) -> None:
        """Refund the payment of a purchase at Stripe, fully (None) or in part; its event takes the credits back.

        Raises:
            UnknownPurchaseError: there is no such purchase.
            InvalidError: it is not paid, or the amount is not above 0 and within the price.
        """
        purchase = await self._database.run(lambda session: self._get(session, purchase_id))
        amount = minor_units(amount_usd) if amount_usd is not None else None
        if purchase.payment_intent is None or not purchase.granted:
            raise InvalidError("the purchase is not paid, so that nothing can be refunded", param="purchase_id")
        if amount is not None and not 0 < amount <= purchase.amount:
            raise InvalidError("amount_usd must be above 0 and at most the price", param="amount_usd")
        given = key or f"{purchase_id}-{amount or 'all'}-{purchase.taken + purchase.lost}"
        await self._stripe.refund(purchase.payment_intent, amount=amount, key=given)

    async def automatic(self, owner_id: str) -> AutomaticTopUp:
        """Return the owner's automatic top-up."""
        wallet, method = await self._database.run(lambda session: self._saved(session, owner_id))
        return AutomaticTopUp(method is not None, wallet[0], wallet[1])

    async def set_automatic(self, owner_id: str, below: Decimal, package_key: str) -> AutomaticTopUp:
        """Buy a package whenever the balance falls below `below`, from the saved payment method.

        Raises:
            UnknownPackageError: no such package is for sale.
            NoPaymentMethodError: the owner has saved no payment method.
        """
        package = self._packages.get(package_key)
        low, credits = to_micros(below, param="below"), to_micros(package.credits)

        async def work(session: AsyncSession) -> None:
            owner = await self._credit.get_owner(session, owner_id)
            if (await self._purchases.saved_method(session, owner.subject_id))[1] is None:
                raise NoPaymentMethodError
            await self._credit.change_wallet(session, owner_id, _Rule(low, credits))

        await self._database.run(work)
        return await self.automatic(owner_id)

    async def stop_automatic(self, owner_id: str, *, forget: bool = False) -> AutomaticTopUp:
        """Stop automatic top-ups; `forget` removes the saved payment method here and at Stripe as well."""

        async def work(session: AsyncSession) -> str | None:
            owner = await self._credit.get_owner(session, owner_id)
            await self._credit.change_wallet(session, owner_id, _Rule(None, None))
            return await self._purchases.forget_method(session, owner.subject_id) if forget else None

        method = await self._database.run(work)
        if method is not None:
            await self._stripe.detach(method)
        return await self.automatic(owner_id)

    async def _add(
        self, session: AsyncSession, owner_id: str, package: Package, key: str | None
    ) -> tuple[StoredPurchase, str | None]:
        owner = (await self._credit.ensure_wallets(session, [owner_id]))[owner_id]
        new = NewPurchase(
            new_uuid7(),
            owner.subject_id,
            package.key,
            to_micros(package.credits),
            minor_units(package.price_usd),
            key=key,
        )
        customer, _ = await self._purchases.saved_method(session, owner.subject_id)
        return await self._purchases.add(session, new), customer

    async def _get(self, session: AsyncSession, purchase_id: UUID) -> StoredPurchase:
        found = await self._purchases.get(session, purchase_id)
        if found is None:
            raise UnknownPurchaseError(purchase_id)
        return found

    async def _saved(
        self, session: AsyncSession, owner_id: str
    ) -> tuple[tuple[Decimal | None, Decimal | None], str | None]:
        wallet = await self._credit.wallet(session, owner_id)
        owner = await self._credit.get_owner(session, owner_id)
        _, method = await self._purchases.saved_method(session, owner.subject_id)
        return (wallet.top_up_below, wallet.top_up_credits), method


@dataclass(frozen=True, slots=True)
class _Rule:
    """Sets the rule of a wallet's automatic top-up; None removes it."""

    below: int | None
    credits: int | None

    def __call__(self, wallet: WalletState) -> None:
        wallet.top_up_below, wallet.top_up_amount = self.below, self.credits
        wallet.top_up_not_before = None
