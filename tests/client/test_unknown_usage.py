"""Settlement of uses whose usage is unknown."""

from decimal import Decimal

from faregate.client import CreditsClient, ModelUsage
from support.apps import Gateway


async def test_a_line_of_unknown_usage_is_unpriced_and_costs_the_minimum(
    gateway: Gateway, credits: CreditsClient
) -> None:
    """The client sends model `unknown` with counts of zero; the gateway charges the feature's minimum and says why."""
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        ride.add("unknown")
    direct = await credits.record_usage("ai_chat_v1", user_id="ada", usages=[ModelUsage("unknown")])

    assert ride.result.state == "settled"
    assert (ride.result.charged, ride.result.flags) == (Decimal(2), ("unpriced",))
    assert [line["unpriced"] for line in ride.result.details] == [True]
    assert direct.credits_charged == 2
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 6
