"""Events from clients of OpenMeter and Lago: recorded or charged once, answered as those systems answer."""

from decimal import Decimal
from typing import Any

import pytest

from support.apps import KEY, Answer, Gateway

CLOUD = "application/cloudevents+json"
CLOUDS = "application/cloudevents-batch+json"

# The two bodies are those that the callbacks of LiteLLM 1.110.2 sent; `litellm_calls.py` makes it send more of them.
LITELLM_OPENMETER: dict[str, Any] = {
    "specversion": "1.0",
    "type": "litellm_tokens",
    "id": "chatcmpl-1924524e-0a00-449b-a961-eb79cfa78bdd",
    "time": "",
    "subject": "ada",
    "source": "litellm-proxy",
    "data": {
        "model": "gpt-4o-mini",
        "cost": 1.35e-05,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
    },
}
LITELLM_LAGO: dict[str, Any] = {
    "event": {
        "transaction_id": "b64b6378-1882-432a-b87c-918d1fd3b928",
        "external_subscription_id": "ada",
        "code": "openai_tokens",
        "properties": {
            "model": "gpt-4o-mini",
            "response_cost": 1.35e-05,
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 30,
        },
    }
}
COST = Decimal("0.0000135")
"""10 tokens at 0.15 USD and 20 at 0.60 USD per million."""


def cloud(number: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"c{number}",
        "source": "/app",
        "type": "storage",
        "subject": "ada",
        "data": {"value": 2},
        **more,
    }


async def send(gateway: Gateway, body: Any, kind: str, path: str = "/api/v1/events", **headers: str) -> Answer:
    named = {"x-server-api-key": "", "authorization": f"Bearer {KEY}", "content-type": kind, **headers}
    return await gateway.call("POST", path, body, headers=named, raw=True)


async def told(gateway: Gateway, body: Any, kind: str, path: str = "/api/v1/events") -> Answer:
    headers = {"x-server-api-key": "", "authorization": f"Bearer {KEY}", "content-type": kind}
    return await gateway.call("POST", path, body, headers=headers)


async def used(gateway: Gateway) -> tuple[int, int, Decimal]:
    """Return requests, tokens and cost of everybody."""
    await gateway.container.roller().run()
    found = (await gateway.get("/api/analytics/metrics")).data
    return found["totalRequests"], found["totalTokens"], Decimal(str(found["providerCostUsd"]))


async def test_the_body_of_litellms_openmeter_callback_is_recorded_once_at_our_price(gateway: Gateway) -> None:
    body = {**LITELLM_OPENMETER, "time": gateway.container.clock().now().isoformat()}

    statuses = [(await send(gateway, body, CLOUD)).status for _ in range(3)]

    assert statuses == [204, 204, 204]
    assert await used(gateway) == (1, 30, COST)


async def test_the_body_of_litellms_lago_callback_is_recorded_once_at_our_price(gateway: Gateway) -> None:
    answers = [await told(gateway, LITELLM_LAGO, "application/json") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[0].body["event"]["transaction_id"] == LITELLM_LAGO["event"]["transaction_id"]
    assert answers[0].body["event"]["lago_id"] == answers[2].body["event"]["lago_id"]
    assert await used(gateway) == (1, 30, COST)


@pytest.mark.parametrize("first", ["record", "charge"])
async def test_an_event_counts_once_whether_it_is_recorded_or_charged_first(gateway: Gateway, first: str) -> None:
    """A rule that is declared between two deliveries does not make a second use of the event."""
    await gateway.grant("ada", 100)
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 3})
    rules: dict[str, dict[str, Any]] = {
        "record": {"forms": ["lago"], "action": "record"},
        "charge": {"forms": ["lago"], "action": "charge", "feature_key": "chat"},
    }
    second = "charge" if first == "record" else "record"
    for action in (first, first, second, second):
        assert (await gateway.put("/api/ingest-rules/llm", rules[action])).status == 200
        assert (await told(gateway, LITELLM_LAGO, "application/json")).status == 200

    wallet = (await gateway.get("/api/wallets/ada")).data
    assert wallet["balance"] == 97
    assert (await used(gateway))[0] == 1


async def test_a_charge_of_a_model_without_a_price_is_parked_and_not_free(gateway: Gateway) -> None:
    await gateway.grant("ada", 100)
    await gateway.feature("chat", strategy="token_priced")
    await gateway.put("/api/ingest-rules/all", {"forms": ["cloud_event"], "action": "charge", "feature_key": "chat"})
    body = cloud(1, data={"model": "nobody-knows-it", "prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5})

    assert (await send(gateway, body, CLOUD)).status == 204

    (use,) = (await gateway.get("/api/usage?user_id=ada")).data
    story = await gateway.container.usage_service().story(use["usage_key"])
    assert [(line.unpriced, line.provider_cost_usd) for line in story.lines] == [(True, None)]


async def test_an_event_of_a_model_without_counts_has_the_reported_cost_or_none(gateway: Gateway) -> None:
    known = cloud(1, data={"model": "dall-e-3", "cost": 0.04})
    unknown = cloud(2, data={"model": "dall-e-3"})

    assert (await send(gateway, [known, unknown], CLOUDS)).status == 204

    await gateway.container.roller().run()
    found = (await gateway.get("/api/analytics/metrics")).data
    assert (found["totalRequests"], found["providerCostUsd"], found["unpriced"]) == (2, Decimal("0.04"), 1)


async def test_an_event_without_a_model_is_a_quantity_of_the_meter_that_its_type_names(gateway: Gateway) -> None:
    assert (await send(gateway, [cloud(1), cloud(1), cloud(2, data={})], CLOUDS)).status == 204

    meters = (await gateway.get("/api/analytics/meters")).data
    assert [(meter["meter"], meter["value"]) for meter in meters] == [("storage", 3)]


async def test_binary_mode_takes_the_attributes_from_headers(gateway: Gateway) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/app", "ce-type": "storage", "ce-subject": "ada"}

    assert (await send(gateway, {"value": 7}, "application/json", **headers)).status == 204
    del headers["ce-id"]
    assert (await send(gateway, {"value": 7}, "application/json", **headers)).status == 400

    fate = (await gateway.get("/api/usage-events/fate?source=/app&id=b1")).data
    assert fate["event"]["quantity"] == 7


async def test_a_batch_with_a_wrong_event_is_400_and_lists_it_and_the_others_count(gateway: Gateway) -> None:
    batch = [cloud(1), cloud(2, subject=None), "text", cloud(4, time="2001-01-01T00:00:00Z"), cloud(5)]

    refused = await told(gateway, batch, CLOUDS)
    again = await send(gateway, [cloud(1), cloud(5)], CLOUDS)

    assert (refused.status, refused.headers["content-type"]) == (400, "application/problem+json")
    assert refused.body["accepted"] == 2
    assert [item["index"] for item in refused.body["rejected"]] == [1, 2, 3]
    assert "subject is required" in refused.body["rejected"][0]["error"]
    assert again.status == 204
    assert (await gateway.get("/api/analytics/meters")).data[0]["events"] == 2


async def test_a_lago_batch_with_a_wrong_event_is_422_and_names_it_by_its_index(gateway: Gateway) -> None:
    event = {"transaction_id": "t1", "external_subscription_id": "ada", "code": "gb", "properties": {"value": "1.5"}}
    batch = {"events": [event, {**event, "transaction_id": None}, {**event, "transaction_id": "t3", "code": ""}]}

    refused = await told(gateway, batch, "application/json", "/api/v1/events/batch")
    whole = await told(gateway, {"events": [event]}, "application/json", "/api/v1/events/batch")

    assert (refused.status, refused.body["code"], set(refused.body["error_details"])) == (
        422,
        "validation_errors",
        {"1", "2"},
    )
    assert (whole.status, whole.body["events"][0]["transaction_id"]) == (200, "t1")
    assert (await gateway.get("/api/analytics/meters")).data[0]["value"] == Decimal("1.5")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", CLOUD, 400),
        (b"null", CLOUD, 400),
        (b"[]", CLOUDS, 400),
        ([cloud(n) for n in range(1001)], CLOUDS, 400),
        (b"x" * 1_100_000, CLOUD, 413),
        (b"{}", "text/plain", 415),
        ({"event": 5}, "application/json", 422),
        ({"events": []}, "application/json", 422),
        (cloud(1, source="faregate:use"), CLOUD, 400),
        (cloud(1, specversion="0.3"), CLOUD, 400),
        (cloud(1, data="text"), CLOUD, 400),
        (cloud(1, subject="org:acme"), CLOUD, 400),
        (cloud(1, subject="a b"), CLOUD, 400),
        (cloud(1, data={"value": -1}), CLOUD, 400),
        (cloud(1, data={"model": "m", "prompt_tokens": "many"}), CLOUD, 400),
        (cloud(1, time="yesterday"), CLOUD, 400),
        (cloud(1, type="\x00"), CLOUD, 400),
    ],
)
async def test_nothing_accepted_is_never_a_success(gateway: Gateway, body: Any, kind: str, status: int) -> None:
    refused = await told(gateway, body, kind)

    assert refused.status == status
    assert refused.body["status"] == status
    assert (await used(gateway))[:2] == (0, 0)


@pytest.mark.parametrize(("kind", "form"), [(CLOUD, "title"), ("application/json", "error_details")])
async def test_without_a_known_key_the_refusal_has_the_callers_form(gateway: Gateway, kind: str, form: str) -> None:
    headers = {"x-server-api-key": "", "authorization": "Bearer nobody-knows-it", "content-type": kind}
    refused = await gateway.call("POST", "/api/v1/events", cloud(1), headers=headers)

    assert (refused.status, refused.body["status"]) == (401, 401)
    assert form in refused.body
    assert "www-authenticate" in refused.headers
