"""`FakeCredits`: the real client with an in-memory gateway, for tests."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import httpx2

from faregate.client.client import CreditsClient
from faregate.client.credits_api import SettleVia
from faregate.client.sync import SyncCreditsClient
from faregate.client.testing.book import FakeUse
from faregate.client.testing.gateway import FakeGateway
from faregate.client.testing.pricing import Pricing
from faregate.client.transport.outage import CLOSED, Outage
from faregate.client.transport.retrying import Retry

__all__ = ["FakeCredits", "SyncFakeCredits"]

_URL, _KEY = "http://fake", "fg_fake"


def _gateway(
    balance: Decimal | int, hold: Decimal | int, pricing: Pricing | Mapping[str, Pricing] | None
) -> FakeGateway:
    return FakeGateway(balance=Decimal(balance), hold=Decimal(hold), pricing=pricing)


class FakeCredits(CreditsClient):
    """A `CreditsClient` that needs no server: its `gateway` is in memory and settles as the real one does.

    Args:
        balance: the initial balance of every user.
        hold: the minimum of every feature: a start holds at least this, and a use with an unpriced line costs at least this.
        pricing: the pricing of all features, or by feature. By default, and for features that are not named, tokens
            cost the providers' published prices plus the default margin (`token_prices()`, needs genai-prices);
            `fixed_credits(5)`, `one_credit` or a function of the lines are alternatives.
    """

    def __init__(
        self,
        *,
        balance: Decimal | int = 100,
        hold: Decimal | int = 1,
        pricing: Pricing | Mapping[str, Pricing] | None = None,
        broker_url: str | None = None,
        spool_dir: Path | None = None,
        outage: Mapping[str, Outage] | None = None,
        default_outage: Outage = CLOSED,
        settle_via: SettleVia | None = None,
        timeout_seconds: float = 10,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.gateway = _gateway(balance, hold, pricing)
        super().__init__(
            _URL,
            _KEY,
            broker_url=broker_url,
            spool_dir=spool_dir,
            outage=outage,
            default_outage=default_outage,
            settle_via=settle_via,
            timeout_seconds=timeout_seconds,
            retry=retry or Retry(attempts=1),
            transport=transport or httpx2.MockTransport(self.gateway),
        )

    @property
    def settled(self) -> Sequence[FakeUse]:
        """The settled uses, in the order of their start."""
        return [use for use in self.gateway.uses.values() if use.status == "settled"]


class SyncFakeCredits(SyncCreditsClient):
    """Sync counterpart of `FakeCredits`."""

    def __init__(
        self,
        *,
        balance: Decimal | int = 100,
        hold: Decimal | int = 1,
        pricing: Pricing | Mapping[str, Pricing] | None = None,
        broker_url: str | None = None,
        spool_dir: Path | None = None,
        outage: Mapping[str, Outage] | None = None,
        default_outage: Outage = CLOSED,
        settle_via: SettleVia | None = None,
        timeout_seconds: float = 10,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.gateway = _gateway(balance, hold, pricing)
        super().__init__(
            _URL,
            _KEY,
            broker_url=broker_url,
            spool_dir=spool_dir,
            outage=outage,
            default_outage=default_outage,
            settle_via=settle_via,
            timeout_seconds=timeout_seconds,
            retry=retry or Retry(attempts=1),
            transport=transport or httpx2.MockTransport(self.gateway),
        )

    @property
    def settled(self) -> Sequence[FakeUse]:
        """The settled uses, in the order of their start."""
        return [use for use in self.gateway.uses.values() if use.status == "settled"]
