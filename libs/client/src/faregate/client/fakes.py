"""`FakeCredits` for the tests of hosts: the real client, with a gateway in memory behind it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx2

from faregate.client.client import CreditsClient
from faregate.client.fake_gateway import FakeGateway, FakeUse, Pricing, one_credit
from faregate.client.retrying import Retry
from faregate.client.sync import SyncCreditsClient

__all__ = ["FakeCredits", "SyncFakeCredits"]

_URL, _KEY = "http://fake", "fg_fake"


def _gateway(balance: Decimal | int, hold: Decimal | int, pricing: Pricing) -> FakeGateway:
    return FakeGateway(balance=Decimal(balance), hold=Decimal(hold), pricing=pricing)


def _options(gateway: FakeGateway, options: dict[str, Any]) -> dict[str, Any]:
    return {"retry": Retry(attempts=1), "transport": httpx2.MockTransport(gateway), **options}


class FakeCredits(CreditsClient):
    """A `CreditsClient` that needs nothing; `gateway` is what it talks to.

    Every user begins with `balance`, a start holds `hold`, a settlement costs what `pricing` says of its lines.
    """

    def __init__(
        self, *, balance: Decimal | int = 100, hold: Decimal | int = 1, pricing: Pricing = one_credit, **options: Any
    ) -> None:
        self.gateway = _gateway(balance, hold, pricing)
        super().__init__(_URL, _KEY, **_options(self.gateway, options))

    @property
    def settled(self) -> Sequence[FakeUse]:
        """The uses that were settled, in the order of their start."""
        return [use for use in self.gateway.uses.values() if use.status == "settled"]


class SyncFakeCredits(SyncCreditsClient):
    """The same for `SyncCreditsClient`."""

    def __init__(
        self, *, balance: Decimal | int = 100, hold: Decimal | int = 1, pricing: Pricing = one_credit, **options: Any
    ) -> None:
        self.gateway = _gateway(balance, hold, pricing)
        super().__init__(_URL, _KEY, **_options(self.gateway, options))

    @property
    def settled(self) -> Sequence[FakeUse]:
        """The uses that were settled, in the order of their start."""
        return [use for use in self.gateway.uses.values() if use.status == "settled"]
