"""All libraries wired once: what a host brings reaches every library that uses it."""

from decimal import Decimal
from typing import Any

import pytest
from dependency_injector import providers

from faregate.analytics.insights.feedback.interfaces import NoSentiment
from faregate.analytics.quotas.log_channel import LogChannel
from faregate.core.clock import FixedClock, SystemClock
from faregate.core.redaction.records import Redactor
from faregate.core.settings import Settings, load_settings
from faregate.core.webhooks.outgoing_events import NullAnnouncer
from faregate.credit import GrantSource, GrantSpec
from faregate.host import FaregateContainer
from faregate.host.container import SEAMS
from faregate.usage import Feature
from faregate.usage.strategies import FixedStrategy


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url)


async def test_a_host_charges_with_a_strategy_of_its_own(settings: Settings) -> None:
    fare = FaregateContainer(settings=settings, extra_strategies={"per_page": FixedStrategy()})
    async with fare.engines():
        await fare.catalog().save(Feature("translate", "per_page", parameters={"credits": 3}, min_credits=Decimal(0)))
        await fare.wallets().grant("ada", GrantSpec(10_000_000, GrantSource.PURCHASE))
        used = await fare.usage_service().record_usage("translate", "ada", usage_key="K")
        balance = await fare.wallets().free("ada")

    assert (used.credits_charged, balance) == (Decimal(3), Decimal(7))


@pytest.mark.parametrize("seam", sorted(SEAMS))
def test_what_a_host_brings_is_what_its_library_uses(settings: Settings, seam: str) -> None:
    """Given when the container is made, a seam is the same object at the top and inside."""
    given = _given()[seam]
    fare = FaregateContainer(settings=settings, **{seam: given})
    inner = getattr(getattr(fare, SEAMS[seam]).container, seam)()

    assert getattr(fare, seam)() is given or list(getattr(fare, seam)()) == list(given)
    assert inner is given or list(inner) == list(given)


@pytest.mark.parametrize("seam", sorted(SEAMS))
def test_a_subclass_that_replaces_a_seam_is_refused(seam: str) -> None:
    """The libraries would go on with the provider of the class above, in silence."""
    with pytest.raises(TypeError, match=rf"Shop\({seam}=…\)"):
        type("Shop", (FaregateContainer,), {seam: providers.Object(None)})


def _given() -> dict[str, Any]:
    usual = FaregateContainer(settings=load_settings(database_url="postgresql://nowhere/none"))
    return {
        "announcer": NullAnnouncer(),
        "channels": [LogChannel()],
        "clock": FixedClock(SystemClock().now()),
        "directory": usual.directory(),
        "extra_strategies": {},
        "redactor": Redactor(),
        "sentiment": NoSentiment(),
        "top_up_provider": usual.top_up_provider(),
        "transport": usual.transport(),
    }
