"""Allowances: quotas and spending limits beside what is used of them, the nearest to its end first."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from support.apps import Gateway


async def test_allowances_have_the_numbers_of_quotas_limits_and_keys(gateway: Gateway) -> None:
    await gateway.feature("chat")
    await gateway.grant("ada", 50)
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "week", "soft": 4}]})
    await gateway.start("ada", "chat", usage_key="one", estimated_credits=2)
    await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["olga"]})
    await gateway.put("/api/organizations/acme/limits", {"limits": [{"period": "day", "hard": 5}]})
    await gateway.put("/api/organizations/acme/limits", {"member": "olga", "limits": [{"period": "day", "hard": 7}]})
    quota = {"owner_id": "ada", "meter": "requests", "limit": 4, "period": "month", "hard": True}
    await gateway.put("/api/quotas", quota)
    await gateway.put("/api/quotas", {"owner_id": "*", "meter": "requests", "limit": 0, "period": "day"})
    event = {"user_id": "ada", "service": "chat", "kind": "request", "status": 200}
    for _ in range(3):
        await gateway.post("/api/usage-events", event)
    cap = {"credits": 100, "period": "month"}
    key = await gateway.post("/api/keys", {"name": "billing", "scopes": ["credits:process"], "spend_cap": cap})
    assert key.status == 201, key.body

    found = (await gateway.get("/api/analytics/allowances")).data
    limit = (await gateway.get("/api/wallets/ada/limits")).data[0]

    assert found[0]["percent"] == 75
    assert (found[0]["owner_id"], found[0]["used"], found[0]["limit"], found[0]["hard"]) == ("ada", 3, 4, True)
    own = next(each for each in found if each["kind"] == "limit" and each["owner_id"] == "ada")
    assert (own["used"], own["held"], own["soft"]) == (limit["spent"], limit["held"], limit["soft"])
    assert (own["percent"], own["limit"]) == (Decimal(50), None)
    assert datetime.fromisoformat(own["until"]) - datetime.fromisoformat(own["since"]) == timedelta(days=7)
    member = next(each for each in found if each["organization_id"] is not None)
    assert (member["organization_id"], member["owner_id"], member["limit"]) == ("acme", "olga", 7)
    assert [each["limit"] for each in found if each["client"] is not None] == [100]
    assert {each["owner_id"] for each in found if each["percent"] is None} == {"*"}
    assert datetime.fromisoformat(own["since"]) <= datetime.now(UTC)


async def test_only_as_many_allowances_as_asked_for(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": p, "hard": 5} for p in ("day", "week")]})

    assert len((await gateway.get("/api/analytics/allowances?limit=1")).data) == 1
    assert (await gateway.get("/api/analytics/allowances?limit=0")).status == 422
