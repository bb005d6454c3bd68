"""Automatic top-ups, from the charge that needs one to the grant that the payment brings."""

import asyncio

from support.apps import Gateway, open_gateway, running_worker, settings_for

PAPER = "GENERATE_QUESTION_PAPER"


async def balance_of(gateway: Gateway, owner: str) -> object:
    return (await gateway.get(f"/api/wallets/{owner}")).data["balance"]


async def test_a_low_balance_is_topped_up_once_by_the_worker(database_url: str) -> None:
    settings = settings_for(database_url, top_up_provider="on_account")
    async with open_gateway(settings) as gateway:
        await gateway.grant("ada", 100)
        await gateway.put("/api/wallets/ada", {"top_up": {"below": 97, "credits": 50}})
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})
        async with running_worker(settings):
            async with asyncio.timeout(10):
                while await balance_of(gateway, "ada") != 145:
                    await asyncio.sleep(0.05)
        newest = (await gateway.get("/api/wallets/ada/transactions")).data[0]

    assert (newest["kind"], newest["amount"], newest["actor"]) == ("grant", 50, "top-up")
    assert "on-account" in newest["reason"]


async def test_without_a_provider_an_order_waits_and_nothing_is_granted(database_url: str) -> None:
    settings = settings_for(database_url)
    async with open_gateway(settings) as gateway:
        await gateway.grant("ada", 10)
        await gateway.put("/api/wallets/ada", {"top_up": {"below": 8, "credits": 50}})
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})
        key = (await gateway.start("ada", PAPER)).data["usage_key"]
        async with running_worker(settings), asyncio.timeout(20):
            await gateway.end("ada", PAPER, usage_key=key, usages=[], headers={"prefer": "respond-async"})
            while await balance_of(gateway, "ada") == 5:  # the worker settles this use, and leaves the order
                await asyncio.sleep(0.05)

        assert await balance_of(gateway, "ada") == 0
