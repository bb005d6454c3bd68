"""Inbox of Stripe's events: signed webhooks, and events that were missed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from faregate.credit.errors import PaymentsOffError
from faregate.credit.payments.service import PaymentService
from faregate.credit.payments.stripe_api import StripeApi
from faregate.credit.payments.stripe_events import read_event
from faregate.credit.payments.stripe_signature import check_signature
from faregate.credit.payments.values import Receipt
from faregate.wire import exact_json

__all__ = ["StripeInbox"]


class StripeInbox:
    """Takes Stripe's events, each once, wherever they come from.

    Args:
        secrets: the signing secrets of the webhook; several while they are rotated.
    """

    def __init__(self, payments: PaymentService, stripe: StripeApi, secrets: Sequence[str]) -> None:
        self._payments = payments
        self._stripe = stripe
        self._secrets = secrets

    async def receive(self, body: bytes, signature: str | None) -> Receipt:
        """Take the raw body of a webhook.

        Raises:
            PaymentsOffError: no signing secret is set.
            WebhookSignatureError: the body is not signed by Stripe, or too long ago.
            MalformedError: it is no event.
        """
        if not self._secrets:
            raise PaymentsOffError("FAREGATE_STRIPE_WEBHOOK_SECRET")
        check_signature(body, signature, self._secrets)
        event = read_event(exact_json.loads(body))
        return await self._payments.take(event) if event is not None else Receipt.IGNORED

    async def catch_up(self, *, since: datetime) -> Mapping[Receipt, int]:
        """Take the events since `since` that Stripe has and that may have been missed; return how many were what.

        Raises:
            PaymentsOffError, PaymentProviderError: Stripe is not set up, or does not answer.
        """
        found: Counter[Receipt] = Counter()
        for body in await self._stripe.events(since=since):
            event = read_event(body)
            found[await self._payments.take(event) if event is not None else Receipt.IGNORED] += 1
        return found
