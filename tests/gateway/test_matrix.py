"""Authorisation: every served route of the gateway with every scope and every role."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, get_args

import pytest
from pydantic import BaseModel, create_model

from faregate.gateway.http.operation import Operation, operations_of
from faregate.gateway.http.personal import Personal, personal_in
from faregate.gateway.security.auth import ALL_SCOPES, ROLE_SCOPES, Role, Scope, person
from faregate.wire import exact_json
from support.apps import Answer, Gateway, open_gateway, settings_for
from support.people import SECRET, bearer


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET, rate_limit_refused=0)) as gateway:
        yield gateway


def operations(gateway: Gateway) -> list[Operation]:
    return [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]


def address(operation: Operation, **values: str) -> str:
    endless = "?events=1" if "text/event-stream" in operation.produces else ""
    return re.sub(r"{(\w+)(:\w+)?}", lambda match: values.get(match[1], "someone"), operation.path) + endless


async def call(gateway: Gateway, operation: Operation, headers: dict[str, str], **values: str) -> Answer:
    """Call without a body: an authorised caller gets an error about the missing body, and nothing happens."""
    return await gateway.call(operation.method, address(operation, **values), headers=headers, raw=True)


def reasons(operation: Operation, answer: Answer) -> str:
    return f"{operation.method} {operation.path} -> {answer.status}"


async def test_without_a_credential_every_guarded_call_is_401(gateway: Gateway) -> None:
    guarded = [operation for operation in operations(gateway) if operation.guarded]
    for headers in ({"x-server-api-key": ""}, {"x-server-api-key": "fg_live_no"}, {**bearer(secret="y" * 32)}):
        for operation in guarded:
            answer = await call(gateway, operation, headers)
            assert answer.status == 401, reasons(operation, answer)
            assert "www-authenticate" in answer.headers

    open_ones = {operation.path for operation in operations(gateway)} - {operation.path for operation in guarded}
    open_ones -= {"/api/payments/stripe"}  # its body is signed
    assert open_ones <= {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{path:path}", "/dashboard"}


async def test_a_key_passes_only_calls_of_its_scope(gateway: Gateway) -> None:
    """Each route with a key of each single scope: 403 unless it is the route's own."""
    keys: dict[Scope, Any] = {}
    for scope in Scope:
        made = await gateway.post("/api/keys", {"name": scope.value, "scopes": [scope.value]})
        keys[scope] = {"x-server-api-key": made.data["key"]}
    for operation in operations(gateway):
        for scope, headers in keys.items() if operation.guarded else ():
            answer = await call(gateway, operation, headers)
            let_in = answer.status not in {401, 403}
            assert let_in == (operation.known or (scope is operation.scope and not operation.portal)), (
                f"{scope} {reasons(operation, answer)}"
            )


@pytest.mark.parametrize("role", [*Role, None])
async def test_a_role_passes_calls_of_its_scopes_and_of_own_data(gateway: Gateway, role: Role | None) -> None:
    held = ROLE_SCOPES[role] if role else frozenset[Scope]()
    headers = bearer("ada", **({"role": role.value} if role else {}))
    for operation in operations(gateway):
        if not operation.guarded:
            continue
        expected = operation.known or operation.scope in held or operation.own is not None
        answer = await call(gateway, operation, headers, **({operation.own: "ada"} if operation.own else {}))
        assert (answer.status not in {401, 403}) == expected, f"{role} {reasons(operation, answer)}"


async def test_users_see_their_own_data_only(gateway: Gateway) -> None:
    """Another user's id in the path is 404, like an unknown one; in the query it is refused, and filled in if left out."""
    headers = bearer("ada", role="user")
    owned = [operation for operation in operations(gateway) if operation.own not in {None, "me"}]
    for operation in owned:
        if operation.own in operation.path_parameters:
            answer = await call(gateway, operation, headers, **{str(operation.own): "bela"})
            assert answer.status == 404, reasons(operation, answer)
        else:
            other = await gateway.call("GET", f"{address(operation)}?{operation.own}=bela", headers=headers, raw=True)
            assert other.status == 403, reasons(operation, other)

    assert owned


async def test_users_never_see_data_of_each_other(gateway: Gateway) -> None:
    for user in ("ada", "bela"):
        await gateway.grant(user, 20)
        await gateway.feature("paper", strategy="fixed", parameters={"credits": 1})
        await gateway.post("/api/usage", {"user_id": user, "feature_key": "paper"})
    mine = await gateway.call("GET", "/api/usage", headers=bearer("ada"))
    wallet = await gateway.call("GET", "/api/wallets/me", headers=bearer("ada"))
    path = await gateway.call("GET", "/api/wallets/ada/transactions", headers=bearer("ada"))

    assert {usage["user_id"] for usage in mine.data} == {"ada"}
    assert (wallet.data["owner_id"], wallet.data["balance"], path.status) == ("ada", 19, 200)


@pytest.mark.parametrize("query", ["", "?userId=bela", "?user_id=bela", "?organizationId=acme", "?service=secret"])
async def test_my_usage_never_shows_what_another_user_did(gateway: Gateway, query: str) -> None:
    """By default or on request, no part of the answer contains bela's service, model, tokens or credits."""
    bela = {"user_id": "bela", "service": "secret", "model": "m-secret", "input_tokens": 777_777_777, "credits": 5}
    events = [bela | {"organization_id": "acme"}, {"user_id": "ada", "service": "chat", "credits": 1}]
    sent = await gateway.post("/api/usage-events", events)
    await gateway.container.roller().run()

    answer = await gateway.call("GET", f"/api/analytics/my-usage{query}", headers=bearer("ada", role="user"))

    shown = exact_json.dumps(answer.data if answer.status == 200 else answer.error).decode()
    assert "m-secret" not in shown
    assert "777777777" not in shown  # more digits than any part of a time
    assert (sent.data["accepted"], answer.status in {200, 403, 422}) == (2, True)
    if not query:
        assert (answer.data["overview"]["totalRequests"], answer.data["overview"]["totalCredits"]) == (1, 1)
        assert [user["userId"] for user in answer.data["topUsers"]] == ["ada"]
    elif answer.status == 200:
        assert answer.data["overview"]["totalRequests"] <= 1
        assert {user["userId"] for user in answer.data["topUsers"]} <= {"ada"}


def test_roles_have_the_documented_scopes() -> None:
    assert ROLE_SCOPES[Role.ADMIN] == ALL_SCOPES
    assert all(scope.value.endswith(":read") for scope in ROLE_SCOPES[Role.ANALYST])
    assert Scope.LOGS_READ not in ROLE_SCOPES[Role.ANALYST]
    assert ROLE_SCOPES[Role.USER] == frozenset()


_SECRET = re.compile(r"cost|margin|price", re.IGNORECASE)
"""Field names of the seller's costs, margins and prices."""


def _names(answer: object, seen: set[type]) -> set[str]:
    """Return the names of all fields of an answer's model, including nested models."""
    if isinstance(answer, type) and issubclass(answer, BaseModel):
        if answer in seen:
            return set()
        seen.add(answer)
        fields = answer.model_fields
        return {*fields}.union(*(_names(field.annotation, seen) for field in fields.values()))
    return set[str]().union(*(_names(part, seen) for part in get_args(answer)))


async def test_no_call_of_people_answers_costs_or_margins_of_the_seller(gateway: Gateway) -> None:
    """For every operation that role `user` may call: neither provider costs nor margins nor prices, at any depth."""
    user = person("ada", [Role.USER])
    open_to_people = [o for o in operations(gateway) if o.own is not None or o.scope is None or user.may(o.scope)]
    shown = {
        o.id: {
            name for answer in (o.answer, *o.also.values()) for name in _names(answer, set()) if _SECRET.search(name)
        }
        for o in open_to_people
    }

    assert {"analytics.my_usage", "usage.list_usages", "wallets.get_own_wallet", "quotas.list_quotas"} <= set(shown)
    assert {id_: names for id_, names in shown.items() if names} == {}


async def test_my_usage_shows_credits_and_no_costs(gateway: Gateway) -> None:
    """The answer has exactly the declared fields, also if the provider's cost is known."""
    await gateway.post(
        "/api/usage-events",
        {"user_id": "ada", "service": "chat", "model": "m", "credits": 1, "cost_usd": Decimal("0.004")},
    )
    mine = await gateway.call("GET", "/api/analytics/my-usage", headers=bearer("ada", role="user"))

    assert mine.data["overview"]["totalCredits"] == 1
    assert [model["credits"] for model in mine.data["models"]] == [1]
    assert _SECRET.findall(exact_json.dumps(mine.data).decode()) == []


TOLD_TO_ANALYSTS = {
    "analytics.top_users": "e-mail address beside the figures of a user",
    "analytics.user_periods": "the same",
    "analytics.dashboard": "the same",
    "audit.search": "network addresses of callers",
    "budgets.list_budgets": "addresses that alerts go to",
    "budgets.get_budget": "addresses that alerts go to",
    "meters.list_meters": "what a meter is",
    "meters.get_meter": "what a meter is",
    "prices.list_overrides": "notes of operators",
    "prices.get_price": "notes of operators",
    "quotas.list_quotas": "addresses that alerts go to",
    "quotas.get_quota": "addresses that alerts go to",
    "quotas.quota_status": "addresses that alerts go to",
    "quotas.check_quotas": "addresses that alerts go to",
    "reports.list_reports": "addresses that mails go to",
    "reports.get_report": "addresses that mails go to",
    "reports.list_report_deliveries": "addresses that mails went to",
    "usage.list_usages": "metadata of uses",
    "usage.get_use": "metadata of the use, reasons of its transactions",
    "usage-events.fate": "reasons of corrections",
    "analytics.stream": "e-mail address beside the figures of a user",
    "views.list_views": "names and filters of saved views",
    "views.put_view": "the caller's own view",
    "wallets.list_grants": "reasons of grants",
    "wallets.list_wallets": "e-mail addresses of owners",
    "transactions.get_transaction": "the reason of a transaction",
    "wallets.get_wallet": "e-mail address of the owner",
    "wallets.list_transactions": "reasons of transactions",
}
"""Calls of analysts whose answers may hold more than ids, with the level of their data."""


async def test_analysts_see_ids_and_the_listed_data_and_never_a_body(gateway: Gateway) -> None:
    """A new call for analysts that may hold more than ids of people fails here: list it, or give it another scope."""
    theirs = [found for found in operations(gateway) if found.scope in ROLE_SCOPES[Role.ANALYST]]
    telling = {found.id for found in theirs if found.personal > Personal.IDS}

    assert [found.id for found in theirs if found.personal is Personal.BODIES] == []
    assert telling == TOLD_TO_ANALYSTS.keys()


async def test_bodies_require_their_own_scopes(gateway: Gateway) -> None:
    """`ops:read` does not allow reading bodies of features: logs, dead letters and exports of a person have scopes of their own."""
    bodies = {found.scope for found in operations(gateway) if found.personal is Personal.BODIES}
    headers = bearer("ada", role="analyst")
    paths = ("/api/privacy/export?user_id=bela", "/api/dead-letters", "/api/dead-letters/x", "/api/feature-usage-logs")
    refused = [await gateway.call("GET", path, headers=headers) for path in paths]

    assert bodies == {Scope.LOGS_READ, Scope.DEAD_LETTERS_READ, Scope.PRIVACY_READ}
    assert [(answer.status, answer.error["code"]) for answer in refused] == [(403, "scope_missing")] * len(paths)


@pytest.mark.parametrize(
    ("name", "level"),
    [("user_id", Personal.IDS), ("email", Personal.WORDS), ("payload", Personal.BODIES), ("total", Personal.NONE)],
)
def test_personal_data_of_an_answer_is_derived_from_its_members_at_any_depth(name: str, level: Personal) -> None:
    inner = create_model("Inner", **{name: (str, "")})  # type: ignore[call-overload]
    outer = create_model("Outer", items=(list[inner | None], []))  # type: ignore[valid-type]

    assert personal_in(list[outer]) is personal_in(inner) is level  # type: ignore[valid-type]
