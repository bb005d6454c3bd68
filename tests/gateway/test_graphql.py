"""GraphQL: the same answers, permissions, limits and records as the HTTP calls; exact amounts; no query per object."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from support.apps import Answer, Gateway, open_gateway, settings_for
from support.people import SECRET, bearer


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


async def ask(gateway: Gateway, query: str, *, headers: dict[str, str] | None = None, **variables: object) -> Answer:
    body: dict[str, Any] = {"query": query, "variables": variables}
    return await gateway.call("POST", "/graphql", body, headers=headers)


async def test_smoke(gateway: Gateway) -> None:
    await gateway.grant("ada", Decimal("20.000001"))
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 1})
    for key in "ab":
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "paper", "usage_key": key})
    answer = await ask(
        gateway,
        """{ caller { userId scopes } wallet(ownerId: "ada") { credits balance organizationId grants { credits } transactions(limit: 2) { items { amount story { usageKey lines { model } events { kind } featureLogs { id } } } nextCursor } }
        usage { items { usageKey creditsCharged wallet { credits } story { hold transactions { amount } } } }
        analytics { start end metrics { totalRequests totalCredits providerCostUsd } services { service } models { model } timeseries { period } topUsers { userId wallet { balance } } distribution { value } profitability { feature } }
        wallets { items { ownerId credits organizationId } }
        }""",
    )
    import json
    print(json.dumps(answer.body, indent=1, default=str)[:6000])
    assert "errors" not in answer.body
