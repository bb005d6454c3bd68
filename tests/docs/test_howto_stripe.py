"""The how-to on selling credits: its settings are accepted, and its commands run against a server that speaks Stripe's calls."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from faregate.core.settings import load_settings
from faregate.credit.payments.stripe_events import EVENT_TYPES
from faregate.gateway.main import server_config
from faregate.wire import exact_json
from support.apps import KEY, open_gateway, settings_for
from support.docs import Page
from support.processes import command_path
from support.servers import require_program
from support.serving import serving
from support.stripe_events import SECRET
from support.stripe_server import API_KEY, stripe_server

PAGE = Page.of("docs/howto/sell-credits-with-stripe.md")


def settings_of_page() -> dict[str, str]:
    lines = [line.partition("=") for line in PAGE.block("ini").text.splitlines()]
    return {name: value for name, _, value in lines}


def test_the_settings_and_the_event_types_of_the_page_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of_page().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    assert (settings.top_up_provider, settings.packages["large"].credits) == ("stripe", Decimal(12000))
    assert sorted(PAGE.block("text").text.split()) == list(EVENT_TYPES)


async def test_every_command_of_the_page_runs(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require_program("curl", package="curl")
    packages, buy, shown, refund, events, sync = PAGE.blocks("bash")
    with stripe_server() as stripe:
        environment: dict[str, Any] = {
            **settings_of_page(),
            "FAREGATE_DATABASE_URL": database_url,
            "FAREGATE_STRIPE_API_KEY": API_KEY,
            "FAREGATE_STRIPE_API_URL": stripe.url,
            "PATH": command_path(),
        }
        settings = settings_for(
            database_url,
            port=0,
            packages=exact_json.loads(environment["FAREGATE_PACKAGES"].encode()),
            stripe_api_key=SecretStr(API_KEY),
            stripe_webhook_secret=SecretStr(SECRET),
            stripe_api_url=stripe.url,
        )
        async with open_gateway(settings) as gateway, serving(server_config(gateway.app, settings)) as url:
            bought = await asyncio.to_thread(buy.run, URL=url, KEY=KEY)
            purchase = exact_json.loads(bought.encode())["data"]
            stripe.webhook = f"{url}/api/payments/stripe"
            await asyncio.to_thread(stripe.pay, purchase["url"].rpartition("/")[2])
            environment["PURCHASE"] = purchase["id"]
            listed = await asyncio.to_thread(shown.run, timeout=120, **environment)
            await asyncio.to_thread(refund.run, timeout=120, **environment)
            balance = (await gateway.get("/api/wallets/ada")).data["balance"]
            printed = [
                await asyncio.to_thread(block.run, timeout=120, **environment) for block in (packages, events, sync)
            ]

    assert "paid" in listed
    assert "payment_intent.succeeded" in listed
    assert balance == 750
    assert "1,000 credits" in printed[0] or "1000 credits" in printed[0]
    assert "4 repeated" in printed[2]
