"""Client of Stripe's API: checkouts, charges, refunds, past events.

Stripe's own library runs in a thread: with it alone (no second HTTP library), only its synchronous client works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from faregate.core.errors import MissingExtraError
from faregate.core.logging import get_logger
from faregate.credit.errors import PaymentDeclinedError, PaymentProviderError, PaymentsOffError
from faregate.credit.payments.stripe_events import EVENT_TYPES, PURCHASE_KEY
from faregate.credit.payments.values import Checkout

if TYPE_CHECKING:
    from stripe import PaymentIntent, RequestsClient, StripeClient

__all__ = ["PaymentAttempt", "StripeApi"]

log = get_logger(__name__)

T = TypeVar("T")

_TIMEOUT_SECONDS = 20
_ATTEMPTS_AGAIN = 2
_PAGE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PaymentAttempt:
    """One attempt to charge a saved payment method; `paid` is what was received, in cents."""

    payment_intent: str
    status: str
    paid: int


class StripeApi:
    """Calls Stripe. Every call that creates something has an idempotency key, so that it is safe to repeat.

    Args:
        api_key: None if payments are not set up; every call then raises `PaymentsOffError`.
    """

    def __init__(self, api_key: str | None, url: str) -> None:
        self._api_key = api_key
        self._url = url

    @property
    def is_set_up(self) -> bool:
        """Whether there is a key."""
        return self._api_key is not None

    def require(self) -> None:
        """Raise `PaymentsOffError` or `MissingExtraError` if calls cannot be made."""
        _ = self._client

    async def open_checkout(
        self,
        purchase_id: UUID,
        *,
        name: str,
        amount: int,
        customer: str | None,
        save: bool,
        success_url: str,
        cancel_url: str,
    ) -> Checkout:
        """Open a Checkout session for one purchase; `save` asks Stripe to keep the payment method for later charges."""
        metadata = {PURCHASE_KEY: str(purchase_id)}
        params: Any = {
            "mode": "payment",
            "client_reference_id": str(purchase_id),
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "usd", "unit_amount": amount, "product_data": {"name": name}},
                }
            ],
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        if save:
            params["payment_intent_data"]["setup_future_usage"] = "off_session"
        params |= {"customer": customer} if customer else {"customer_creation": "always" if save else "if_required"}
        options = _options(f"checkout-{purchase_id}")
        found = await self._call(lambda client: client.v1.checkout.sessions.create(params, options))
        return Checkout(found.id, found.url or "", _EPOCH + timedelta(seconds=found.expires_at))

    async def charge(self, purchase_id: UUID, *, amount: int, customer: str, method: str) -> PaymentAttempt:
        """PaymentAttempt a saved payment method without its owner being there.

        Raises:
            PaymentDeclinedError: the payment was declined, or needs its owner.
        """
        params: Any = {
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "off_session": True,
            "confirm": True,
            "metadata": {PURCHASE_KEY: str(purchase_id)},
        }
        options = _options(f"charge-{purchase_id}")
        return _charge(await self._call(lambda client: client.v1.payment_intents.create(params, options)))

    async def retrieve(self, payment_intent: str) -> PaymentAttempt:
        """Return a payment as it is now."""
        return _charge(await self._call(lambda client: client.v1.payment_intents.retrieve(payment_intent)))

    async def find_charge(self, purchase_id: UUID, *, customer: str, since: datetime) -> PaymentAttempt | None:
        """Return the payment of a purchase among the customer's payments since `since`.

        Stripe forgets idempotency keys after a day; this finds a payment whose answer was lost before.
        """
        params: Any = {"customer": customer, "created": _since(since), "limit": _PAGE}

        def search(client: StripeClient) -> PaymentIntent | None:
            found = client.v1.payment_intents.list(params).auto_paging_iter()
            named = str(purchase_id)
            return next((each for each in found if each.metadata.to_dict().get(PURCHASE_KEY) == named), None)

        intent = await self._call(search)
        return _charge(intent) if intent is not None else None

    async def refund(self, payment_intent: str, *, amount: int | None, key: str) -> None:
        """Refund a payment, fully (None) or in part; the credits follow when Stripe reports the refund."""
        params: Any = {"payment_intent": payment_intent, **({"amount": amount} if amount else {})}
        await self._call(lambda client: client.v1.refunds.create(params, _options(f"refund-{key}")))

    async def detach(self, method: str) -> None:
        """Make a payment method unusable for later charges."""
        await self._call(lambda client: client.v1.payment_methods.detach(method))

    async def events(self, *, since: datetime) -> list[Mapping[str, Any]]:
        """Return the events since `since` that concern purchases, the oldest first; Stripe keeps them for 30 days."""
        params: Any = {"created": _since(since), "types": list(EVENT_TYPES), "limit": _PAGE}

        def read(client: StripeClient) -> list[Mapping[str, Any]]:
            return [each.to_dict() for each in client.v1.events.list(params).auto_paging_iter()]

        return list(reversed(await self._call(read)))

    async def _call(self, work: Callable[[StripeClient], T]) -> T:
        """Call Stripe in a thread, and translate its errors."""
        client, connections = self._client
        import stripe

        def once() -> T:
            try:
                return work(client)
            finally:
                connections.close()  # type: ignore[no-untyped-call]  # calls are rare, and each thread of the pool would keep a connection open

        try:
            return await asyncio.to_thread(once)
        except stripe.CardError as error:
            raise PaymentDeclinedError(_reason(error.code, error.user_message)) from error
        except stripe.StripeError as error:
            log.warning("stripe_call_failed", kind=type(error).__name__, code=error.code, request_id=error.request_id)
            raise PaymentProviderError(
                f"Stripe answered {type(error).__name__}{f' ({error.code})' if error.code else ''}; try again, and check "
                "FAREGATE_STRIPE_API_KEY if it stays"
            ) from error

    @cached_property
    def _client(self) -> tuple[StripeClient, RequestsClient]:
        if self._api_key is None:
            raise PaymentsOffError("FAREGATE_STRIPE_API_KEY")
        try:
            from stripe import RequestsClient, StripeClient
        except ModuleNotFoundError as error:
            raise MissingExtraError("Paying through Stripe", "stripe") from error
        connections = RequestsClient(timeout=_TIMEOUT_SECONDS)
        client = StripeClient(
            self._api_key,
            base_addresses={"api": self._url},
            max_network_retries=_ATTEMPTS_AGAIN,
            http_client=connections,
        )
        return client, connections


def _options(key: str) -> Any:
    return {"idempotency_key": f"faregate-{key}"}


def _charge(intent: PaymentIntent) -> PaymentAttempt:
    return PaymentAttempt(intent.id, intent.status, intent.amount_received if intent.status == "succeeded" else 0)


def _reason(code: str | None, message: str | None) -> str:
    return ": ".join(part for part in (code, message) if part) or "the payment was declined"


def _since(moment: datetime) -> dict[str, int]:
    return {"gte": int((moment - _EPOCH).total_seconds())}
