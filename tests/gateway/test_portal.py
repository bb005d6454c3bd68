"""Links to the customers' page: one owner's data, for a short time, in allowed frames, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from faregate.core.errors import ConfigurationError
from faregate.gateway.http.operation import operations_of
from faregate.wire import exact_json
from support.apps import Answer, Gateway, open_gateway, settings_for

PAGE = "https://app.example.com"
RANGE = "from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00Z"


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        await gateway.feature("chat")
        await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["olga", "otto"]})
        for owner in ("ada", "bob", "org:acme"):
            await gateway.grant(owner, 50, reason=f"welcome-{owner}")
        usages = [{"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}]
        for user in ("ada", "bob", "olga"):
            await gateway.start(user, "chat", usage_key=f"use-of-{user}")
            await gateway.end(user, "chat", usage_key=f"use-of-{user}", usages=usages)
        yield gateway


async def link(gateway: Gateway, **body: Any) -> Any:
    answer = await gateway.post("/api/portal/links", body)
    assert answer.status == 201, answer.body
    return answer.data


async def visit(gateway: Gateway, made: Any, path: str, method: str = "GET", body: Any = None) -> Answer:
    headers = {"x-server-api-key": "", "authorization": f"Bearer {made['url'].partition('#')[2]}"}
    return await gateway.call(method, path, body, headers=headers)


async def test_a_visitor_sees_balance_usage_uses_grants_and_statement_of_the_owner(gateway: Gateway) -> None:
    made = await link(gateway, user_id="ada")
    wallet = (await gateway.get("/api/wallets/ada")).data

    me = (await visit(gateway, made, "/api/portal/me")).data
    usage = (await visit(gateway, made, "/api/portal/usage?by=model")).data
    (use,) = (await visit(gateway, made, "/api/portal/uses")).data
    story = (await visit(gateway, made, f"/api/portal/uses/{use['usage_key']}")).data
    (grant,) = (await visit(gateway, made, "/api/portal/grants")).data
    statement = (await visit(gateway, made, f"/api/portal/statement?{RANGE}")).data

    assert (me["owner_id"], me["credits"], me["balance"]) == ("ada", wallet["credits"], wallet["balance"])
    assert usage["credits"] == story["credits_charged"] == story["lines"][0]["credits"] == 50 - me["balance"]
    assert sum(part["credits"] for part in usage["slices"]) == usage["credits"]
    assert (grant["credits"], grant["remaining"]) == (50, me["balance"])
    assert (statement["used"], statement["closing"]) == (usage["credits"], me["balance"])


async def test_a_visitor_sees_nothing_of_anybody_else_by_any_call_or_id(gateway: Gateway) -> None:
    """Every call of the gateway with the ids of another owner: refused, or without a trace of them."""
    made = await link(gateway, user_id="ada")
    others = ("bob", "olga", "use-of-bob", "welcome-bob", "acme")
    asked = 0
    for controller in gateway.container.controllers():
        for operation in [found for found, _ in operations_of(controller) if found.guarded]:
            path = operation.path
            for name in operation.path_parameters:
                value = "use-of-bob" if name == "usage_key" else "bob"
                path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
            if path.startswith("/v1/"):  # answers in Protobuf
                headers = {"x-server-api-key": "", "authorization": f"Bearer {made['url'].partition('#')[2]}"}
                assert (await gateway.http.request(operation.method, path, headers=headers)).status_code == 403
                continue
            for query in ("", "?userId=bob", "?user_id=bob", f"?{RANGE}"):
                answer = await visit(gateway, made, path + query, operation.method)
                asked += 1
                if not operation.portal:
                    assert answer.status == 403, (path, answer.body)
                text = exact_json.dumps(answer.body.get("data")).decode()
                assert answer.status >= 400 or not [other for other in others if other in text], (path, query)
    assert asked > 300


async def test_the_use_of_another_owner_is_unknown(gateway: Gateway) -> None:
    made = await link(gateway, user_id="ada")

    answers = [await visit(gateway, made, f"/api/portal/uses/{key}") for key in ("use-of-bob", "never")]

    assert [(answer.status, answer.error["code"]) for answer in answers] == [(404, "unknown_usage_key")] * 2


async def test_an_organisation_sees_the_uses_of_its_members(gateway: Gateway) -> None:
    made = await link(gateway, organization_id="acme")

    uses = (await visit(gateway, made, "/api/portal/uses")).data
    usage = (await visit(gateway, made, "/api/portal/usage?by=user")).data

    assert [use["usage_key"] for use in uses] == ["use-of-olga"]
    assert [part["value"] for part in usage["slices"]] == ["olga"]
    assert (await visit(gateway, made, "/api/portal/uses/use-of-olga")).status == 200
    assert (await visit(gateway, made, "/api/portal/uses/use-of-ada")).status == 404


async def test_a_link_ends_by_time_and_by_revocation(gateway: Gateway) -> None:
    made, revoked = [await link(gateway, user_id="ada", expires_in_seconds=60) for _ in range(2)]
    await gateway.call("DELETE", f"/api/portal/links/{revoked['id']}")
    assert [(await visit(gateway, each, "/api/portal/me")).status for each in (made, revoked)] == [200, 401]

    async with gateway.database.transaction() as session:
        await gateway.database.rows(session, "update faregate.portal_link set expires_at = now()")

    assert (await visit(gateway, made, "/api/portal/me")).status == 401
    again = await gateway.call("DELETE", f"/api/portal/links/{revoked['id']}")
    assert (again.status, again.error["code"]) == (404, "unknown_portal_link")


async def test_a_link_opens_no_session_of_the_dashboard(gateway: Gateway) -> None:
    made = await link(gateway, user_id="ada")

    assert (await visit(gateway, made, "/api/session", "POST")).status == 403


async def test_the_page_is_shown_in_frames_of_the_allowed_origins_only(gateway: Gateway) -> None:
    framed, plain = await link(gateway, user_id="ada", allowed_origins=[PAGE]), await link(gateway, user_id="ada")

    async def ancestors(path: str) -> str:
        response = await gateway.http.get(path)
        policy: str = response.headers["content-security-policy"]
        return policy.partition("frame-ancestors ")[2]

    assert framed["frame"].startswith("<iframe src=")
    assert await ancestors(f"/portal/{framed['id']}") == PAGE
    assert await ancestors(f"/portal/{plain['id']}") == await ancestors("/portal/unknown") == "'none'"
    wrong = await gateway.post(
        "/api/portal/links", {"user_id": "ada", "allowed_origins": [f"{PAGE}/path; script-src *"]}
    )
    assert wrong.status == 422


async def test_what_the_settings_hide_is_in_no_answer(database_url: str, gateway: Gateway) -> None:
    hidden = settings_for(database_url, portal_hidden="models, features", portal_title="Acme", portal_color="#0b6e4f")
    async with open_gateway(hidden) as other:
        made = await link(other, user_id="ada")
        paths = ("me", "uses", "uses/use-of-ada", "grants", f"statement?{RANGE}")
        answers = [await visit(other, made, f"/api/portal/{path}") for path in paths]
        refused = [await visit(other, made, f"/api/portal/usage?by={by}") for by in ("model", "feature")]
        whole = await visit(other, made, "/api/portal/usage?by=all")

    assert (answers[0].data["title"], answers[0].data["color"]) == ("Acme", "#0b6e4f")
    assert [answer.status for answer in answers] == [200] * len(paths)
    assert not [text for answer in answers if "gpt" in (text := str(answer.body)) or "'chat'" in text]
    assert [answer.status for answer in refused] == [422, 422]
    assert [(part["value"], part["credits"]) for part in whole.data["slices"]] == [(None, whole.data["credits"])]


async def test_hidden_names_are_in_the_rest_and_renamed_ones_have_their_shown_name(
    database_url: str, gateway: Gateway
) -> None:
    look = settings_for(
        database_url,
        portal_hidden="model:o3, meter:tokens",
        portal_names={"model:gpt-4o": "Premium", "model:gpt-4o-mini": "Premium", "feature:chat": "Conversation"},
    )
    async with open_gateway(look) as other:
        for key, model in (("a", "gpt-4o-mini"), ("b", "o3"), ("c", "claude-sonnet-4-5")):
            await other.start("ada", "chat", usage_key=key)
            usages = [{"ai_model": model, "input_tokens": 100, "output_tokens": 10}]
            await other.end("ada", "chat", usage_key=key, usages=usages)
        for meter in ("tokens", "requests"):
            await other.put("/api/quotas", {"owner_id": "ada", "meter": meter, "limit": 10, "period": "month"})
        made = await link(other, user_id="ada")
        usage = (await visit(other, made, "/api/portal/usage?by=model")).data
        use = (await visit(other, made, "/api/portal/uses/b")).data
        limits = (await visit(other, made, "/api/portal/limits")).data
        refused = await visit(other, made, "/api/portal/usage?by=feature&model=o3")
        answers = [
            await visit(other, made, f"/api/portal/{path}") for path in ("me", "uses", "uses/use-of-ada", "grants")
        ]

    shown = [(part["value"], part["isRest"], part["requests"]) for part in usage["slices"]]
    assert ("Premium", False, 2) in shown
    assert shown[-1] == (None, True, 1)
    assert sum(part["credits"] for part in usage["slices"]) == usage["credits"]
    assert [part["value"] for part in usage["slices"] if not part["isRest"]].count("Premium") == 1
    assert (use["feature_key"], use["lines"][0]["ai_model"]) == ("Conversation", None)
    assert [(each["kind"], each["meter"], each["used"]) for each in limits] == [("quota", "requests", 4)]
    assert (refused.status, refused.error["param"]) == (422, "model")
    assert not [text for answer in answers if "gpt" in (text := str(answer.body)) or "'chat'" in text or "o3" in text]


async def test_limits_stand_beside_what_is_used_of_them(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "month", "soft": 10, "hard": 20}]})
    await gateway.put("/api/organizations/acme/limits", {"member": "olga", "limits": [{"period": "day", "hard": 5}]})
    user, pool = await link(gateway, user_id="ada"), await link(gateway, organization_id="acme")

    (own,) = (await visit(gateway, user, "/api/portal/limits")).data
    (member,) = (await visit(gateway, pool, "/api/portal/limits")).data

    assert (own["soft"], own["limit"], own["member"], own["meter"]) == (10, 20, None, "credits")
    assert (member["limit"], member["member"], member["period"]) == (5, "olga", "day")
    assert own["since"] < own["until"]


async def test_the_statement_as_pdf_has_the_amounts_of_the_statement(gateway: Gateway) -> None:
    import io

    import pypdf

    made = await link(gateway, user_id="ada")
    headers = {"authorization": f"Bearer {made['url'].partition('#')[2]}"}
    response = await gateway.http.get(
        f"/api/portal/statement?{RANGE}&format=pdf&timezone=Asia/Kolkata", headers=headers
    )
    statement = (await visit(gateway, made, f"/api/portal/statement?{RANGE}")).data
    text = pypdf.PdfReader(io.BytesIO(response.content)).pages[0].extract_text()

    assert response.headers["content-type"] == "application/pdf"
    assert f"Closing balance {statement['closing']}" in text
    assert f"Used -{statement['used']}" in text
    assert "2026-01-01 05:30 (Asia/Kolkata)" in text
    refused = await visit(gateway, made, f"/api/portal/statement?{RANGE}&format=pdf&timezone=Mars/Olympus")
    assert (refused.status, refused.error["param"]) == (422, "timezone")


@pytest.mark.parametrize(
    "wrong", [{"portal_hidden": "model"}, {"portal_names": {"gpt-4o": "x"}}, {"portal_names": {"model:gpt-4o": " "}}]
)
def test_a_wrong_setting_of_the_page_is_refused(database_url: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong)).upper()):
        settings_for(database_url, **wrong)


async def test_the_statement_is_a_file_with_exact_amounts(gateway: Gateway) -> None:
    made = await link(gateway, user_id="ada")
    token = made["url"].partition("#")[2]

    response = await gateway.http.get(
        f"/api/portal/statement?{RANGE}&format=csv", headers={"authorization": f"Bearer {token}"}
    )
    statement = (await visit(gateway, made, f"/api/portal/statement?{RANGE}")).data

    assert response.headers["content-type"].startswith("text/csv")
    assert f"closing,{statement['closing']}" in response.text.splitlines()


async def test_a_repeated_request_makes_one_link_and_shows_it_once(gateway: Gateway) -> None:
    first, again = [await gateway.post("/api/portal/links", {"user_id": "ada"}, idempotency_key="k") for _ in range(2)]

    assert (first.data["id"], again.data["url"]) == (again.data["id"], None)
