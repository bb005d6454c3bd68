"""Two tenants in one process: nothing of one is reached through the other, by any route, credential, id, cache or count.

The routes are those of the application itself, so that a new one is tried without being listed here.
"""

import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from faregate.gateway.http.operation import Operation, operations_of
from support.people import token
from support.redis import redis_server
from support.servers import address, execute
from support.tenancy import (
    HOSTS,
    KEYS,
    SECRETS,
    Front,
    deployment_settings,
    example_calls,
    ids_in,
    open_front,
    quiet,
    table_activity,
)

CANARY = "beta-canary"
NOBODYS = "01a1fd69-8c38-7000-99a6-7c0f01595000"
OPEN = {"/healthz", "/readyz", "/metrics", "/api/payments/stripe"}
"""Operations that need no credential, or whose body is signed."""
PAGES = ("/docs", "/openapi.json", "/dashboard", "/graphql/explorer")
"""Pages without data: the same for all tenants."""
CREDENTIALS = {"api_key", "version", "web_session", "portal_link"}
"""Tables that are read to find out that a credential is unknown."""


def tenant_app(front: Front, tenant: str) -> Starlette:
    (held,) = [held for held in front.container.tenant_apps().held if held.tenant.key == tenant]
    app: Any = held.opened.app
    assert isinstance(app, Starlette)
    return app


def routes(front: Front) -> Iterator[tuple[str, str]]:
    """Return method and path of every route of a tenant's application."""
    for route in tenant_app(front, "acme").routes:
        if isinstance(route, Route):
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, route.path


def untried(app_routes: Sequence[BaseRoute], tried: Iterable[tuple[str, str]], described: Any) -> list[str]:
    """Return the routes of an application, and the operations of its OpenAPI document, that are not among those tried."""
    known = {(method, _plain(path)) for method, path in tried}
    others = [repr(route) for route in app_routes if not isinstance(route, Route)]
    served = {
        (method, _plain(route.path))
        for route in app_routes
        if isinstance(route, Route)
        for method in (route.methods or {"GET"}) - {"HEAD"}
    }
    operations = {(method.upper(), _plain(path)) for path, found in described["paths"].items() for method in found}
    return others + sorted(f"{method} {path}" for method, path in (served | operations) - known)


def _plain(path: str) -> str:
    """Return a path without the types of its parameters."""
    return re.sub(r":\w+}", "}", path)


def filled(path: str, value: str) -> str:
    return re.sub(r"{\w+(:\w+)?}", value, path) + ("?events=1" if path.endswith("/stream") else "")


def operations(front: Front) -> list[Operation]:
    return [found for controller in front.container.controllers() for found, _ in operations_of(controller)]


async def populate(front: Front, tenant: str, name: str) -> dict[str, set[str]]:
    """Make one of everything at a tenant: each example of the OpenAPI document, for a user of this name. Return the ids."""

    def named(text: str) -> str:
        return re.sub(
            r"user-1|use-1|event-1|a good reason|ai_chat_v1", lambda found: f"{name}-{found[0].replace(' ', '-')}", text
        )

    feature, user = named("ai_chat_v1"), named("user-1")
    await front.call(tenant, "POST", f"/api/wallets/{user}/grants", {"credits": 1000, "source": "purchase"})
    await front.call(tenant, "PUT", f"/api/features/{feature}", {"strategy": "fixed", "parameters": {"credits": 1}})
    found: dict[str, set[str]] = {}
    for method, path, body in await example_calls(front, tenant, named):
        if method == "DELETE":
            continue
        status, text = await front.text(
            tenant, method, path, content=body, headers={"content-type": "application/json"}
        )
        assert status < 500, f"{method} {path}: {text[:300]}"
        if status < 300 and text.startswith("{"):
            for field, texts in ids_in(_json(text)).items():
                found.setdefault(field, set()).update(texts)
    return found


def _json(text: str) -> Any:
    from faregate.wire import exact_json

    return exact_json.loads(text)


@pytest.fixture(scope="module")
async def populated(server_url: str, tenants_template: str) -> AsyncIterator[tuple[str, dict[str, set[str]]]]:
    """A deployment whose tenant beta has one of everything, and the ids of it, of which acme must not learn."""
    name = f"populated_{os.getpid()}"
    await execute(server_url, f"create database {name} template {tenants_template} strategy file_copy")
    url = address(server_url, name)
    async with open_front(deployment_settings(url)) as front:
        found = await populate(front, "beta", CANARY)
    await quiet(url)
    yield url, found
    await execute(server_url, f"drop database {name} with (force)")


async def test_whatever_acme_calls_no_table_of_beta_is_touched(populated: tuple[str, dict[str, set[str]]]) -> None:
    """Every operation with its example, and every route with beta's ids, at acme's host with a key that may do everything.

    PostgreSQL counts each scan and each write of every table: those of beta do not change. No answer names anything of beta, and
    none depends on whether an id exists there.
    """
    url, known = populated
    before, home = await table_activity(url, "tenant_beta"), await table_activity(url, "tenant_acme")
    ids = sorted({text for texts in known.values() for text in texts if CANARY in text or _is_uuid(text)})
    assert len(ids) > 20
    problems: list[str] = []
    async with open_front(deployment_settings(url)) as front:
        await populate(front, "acme", "acme-own")
        described = (await front.call("acme", "GET", "/openapi.json")).body
        tried: list[tuple[str, str]] = []
        for method, path in routes(front):
            tried.append((method, path))
            for theirs in _fitting(path, ids):
                nobodys = NOBODYS if _is_uuid(theirs) else theirs.replace(CANARY, "nobody-here")
                answer = await front.text("acme", method, filled(path, theirs))
                unknown = await front.text("acme", method, filled(path, nobodys))
                if _outcome(answer) != _outcome(unknown) or CANARY in answer[1].replace(theirs, ""):
                    problems.append(f"{method} {filled(path, theirs)}: {answer} instead of {unknown}")
        app_routes = tenant_app(front, "acme").routes
    await quiet(url)

    assert len(tried) > 200
    assert untried(app_routes, tried, described) == []
    assert not problems, "\n".join(problems)
    assert await table_activity(url, "tenant_beta") == before
    assert await table_activity(url, "tenant_acme") != home


def _fitting(path: str, ids: list[str]) -> list[str]:
    """Return ids to try in a path: one of each form, others for each path; without a parameter the path is tried once."""
    if "{" not in path:
        return [ids[0]]
    place = sum(map(ord, path))
    forms = [each for each in ids if _is_uuid(each)], [each for each in ids if not _is_uuid(each)]
    return [names[place % len(names)] for names in forms]


def _outcome(answer: tuple[int, str]) -> tuple[int, str]:
    status, text = answer
    code = re.search(r'"code":"(\w+)"', text)
    return status, code[1] if code is not None else ""


def _is_uuid(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))


async def _credentials_of(front: Front, tenant: str) -> dict[str, dict[str, str]]:
    """Return one credential of each kind that a tenant issues, as headers."""
    none = {"x-server-api-key": ""}
    await front.call(tenant, "PUT", "/api/wallets/ada", {})
    made = await front.call(tenant, "POST", "/api/keys", {"name": "k", "scopes": ["wallets:read", "keys:admin"]})
    signed_in = await front.call(tenant, "POST", "/api/session", None)
    link = await front.call(tenant, "POST", "/api/session/links", {"expires_in_seconds": 600})
    portal = await front.call(tenant, "POST", "/api/portal/links", {"user_id": "ada"})
    assert (made.status, signed_in.status, link.status, portal.status) == (201, 200, 201, 201)
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    return {
        "bootstrap key": {"x-server-api-key": KEYS[tenant]},
        "API key": {"x-server-api-key": made.data["key"]},
        "token": {**none, "authorization": f"Bearer {token('ada', secret=SECRETS[tenant], role='admin')}"},
        "session": {**none, "cookie": cookie, "x-csrf-token": signed_in.data["csrf_token"]},
        "sign-in link": {**none, "authorization": f"Bearer {link.data['url'].partition('#')[2]}"},
        "portal link": {**none, "authorization": f"Bearer {portal.data['url'].partition('#')[2]}"},
    }


async def test_no_credential_of_acme_is_accepted_at_betas_host(deployment_url: str) -> None:
    """Every operation with every kind of credential: 401, and beta's tables are read only to find out that it is unknown."""
    async with open_front(deployment_settings(deployment_url)) as front:
        credentials = await _credentials_of(front, "acme")
        for name, headers in credentials.items():
            at_home = await front.text(
                "acme", "GET", "/api/session" if "link" not in name else "/api/portal/me", headers=headers
            )
            assert at_home[0] == 200 or name == "sign-in link", f"{name}: {at_home}"
        guarded = _guarded(front)
        calls = [(method, filled(path, "ada")) for method, path in guarded]
        described = (await front.call("acme", "GET", "/openapi.json")).body
        before_beta = await table_activity(deployment_url, "tenant_beta")
        answers = {
            (name, method, path): (await front.text("beta", method, path, headers=headers))[0]
            for name, headers in credentials.items()
            for method, path in calls
        }
    await quiet(deployment_url)
    after = await table_activity(deployment_url, "tenant_beta")

    assert len(calls) > 150
    assert {path.split(" ")[1] for path in untried([], guarded, described)} <= OPEN
    assert {call: status for call, status in answers.items() if status != 401} == {}
    touched = {table for table, counts in after.items() if counts != before_beta.get(table, (0, 0))}
    assert touched <= CREDENTIALS
    assert {table for table in touched if after[table][1] != before_beta[table][1]} == set()


def _guarded(front: Front) -> list[tuple[str, str]]:
    found = [(each.method, each.path) for each in operations(front) if each.path not in OPEN]
    cycles = [
        (method, route.path)
        for route in front.container.cycles().routes()
        if isinstance(route, Route)
        for method in route.methods or ()
    ]
    return found + [(method, path) for method, path in cycles if method != "HEAD"]


async def test_every_route_is_an_operation_or_a_page_without_data(front: Front) -> None:
    """What the tests above take for pages has no data: a new route outside the operations must be judged here."""
    await front.text("acme", "GET", "/healthz")
    guarded = {path for _, path in _guarded(front)} | OPEN
    others = {path for _, path in routes(front)} - guarded

    assert {path for path in others if not path.startswith(PAGES)} == {
        "/portal/{link_id}",
        "/reports/unsubscribe/{token}",
    }


@pytest.mark.parametrize(
    "added",
    [
        Route("/api/new", lambda _request: Response()),
        Route("/api/features", lambda _request: Response(), methods=["PATCH"]),
        Mount("/api/mounted", routes=[]),
        WebSocketRoute("/api/socket", lambda _socket: None),
    ],
    ids=["path", "method", "mount", "socket"],
)
async def test_a_route_that_the_tests_above_do_not_try_is_noticed(front: Front, added: BaseRoute) -> None:
    described = (await front.call("acme", "GET", "/openapi.json")).body
    known, app_routes = list(routes(front)), tenant_app(front, "acme").routes

    assert untried(app_routes, known, described) == []
    assert len(untried([*app_routes, added], known, described)) == 1
    assert untried([], known, {"paths": {**described["paths"], "/api/new": {"get": {}}}}) == ["GET /api/new"]


async def test_a_key_finds_its_tenant_at_a_host_of_nobody_and_there_only(front: Front) -> None:
    made = {
        tenant: (
            await front.call(tenant, "POST", "/api/keys", {"name": "k", "scopes": ["wallets:write", "wallets:read"]})
        ).data["key"]
        for tenant in ("acme", "beta")
    }
    for tenant, key in made.items():
        granted = await front.call(
            "api.example.com",
            "PUT",
            "/api/wallets/ada",
            {"email": f"ada@{tenant}.test"},
            headers={"x-server-api-key": key},
        )
        assert granted.status == 200, granted.body
    shown = {
        tenant: (
            await front.call("api.example.com", "GET", "/api/wallets/ada", headers={"authorization": f"Bearer {key}"})
        ).data
        for tenant, key in made.items()
    }

    assert {tenant: wallet["email"] for tenant, wallet in shown.items()} == {t: f"ada@{t}.test" for t in made}
    for host, key in ((HOSTS["beta"], made["acme"]), (HOSTS["acme"], made["beta"])):
        assert (await front.call(host, "GET", "/api/wallets/ada", headers={"x-server-api-key": key})).status == 401


@pytest.mark.parametrize("credential", [{}, {"x-server-api-key": KEYS["acme"]}, {"x-server-api-key": "fg_live_no"}])
async def test_a_host_of_nobody_serves_nothing(front: Front, credential: dict[str, str]) -> None:
    for path in ("/", "/api/wallets/ada", "/dashboard", "/openapi.json", "/graphql", "/portal/x", "/metrics/"):
        refused = await front.call("evil.example.com", "GET", path, headers=credential)
        assert (refused.status, refused.error["code"]) == (404, "unknown_tenant"), path

    assert (await front.call("10.0.0.7:8080", "GET", "/readyz")).status == 200
    assert (await front.call("10.0.0.7:8080", "GET", "/metrics", headers=credential)).status == 401


async def test_metrics_are_of_one_tenant_and_have_bounded_labels(deployment_url: str) -> None:
    settings = deployment_settings(deployment_url)
    async with open_front(settings) as front:
        for tenant in ("acme", "beta"):
            await front.call(tenant, "GET", "/api/wallets/ada")
        for number in range(30):
            await front.call(f"h{number}.example.com", "GET", "/api/wallets/ada")
        _, acme = await front.text("acme", "GET", "/metrics")
        status, process = await front.text(
            "10.0.0.7", "GET", "/metrics", headers={"x-server-api-key": _key_of(settings)}
        )

    assert set(re.findall(r'tenant="([^"]*)"', acme)) == {"acme"}
    assert "beta" not in acme
    assert (status, set(re.findall(r'tenant="([^"]*)"', process))) == (200, {"acme", "beta"})
    assert 'faregate_tenant_refusals_total{code="unknown_tenant"} 30.0' in process
    assert 'faregate_tenants{state="active"} 2.0' in process
    assert "h7.example.com" not in process
    types = re.findall(r"^# TYPE (\S+)", process, re.MULTILINE)
    assert len(types) == len(set(types))


def _key_of(settings: Any) -> str:
    return str(settings.server_api_key.get_secret_value())


async def test_a_shared_redis_mixes_neither_answers_nor_limits(deployment_url: str, tmp_path: Path) -> None:
    """The same question at the same version, and the same user: each tenant has its own answer and its own limit."""
    async with (
        redis_server(tmp_path) as redis,
        open_front(deployment_settings(deployment_url, redis_url=redis.url, rate_limit_user=3)) as front,
    ):
        await front.call("acme", "PUT", "/api/wallets/ada", {"email": "ada@acme.test"})
        await front.call("beta", "PUT", "/api/wallets/ada", {"email": "ada@beta.test"})
        metrics = "/api/analytics/metrics?startDate=2026-01-01&endDate=2030-01-01"
        await front.call("acme", "POST", "/api/usage-events", {"user_id": "ada", "service": "chat", "credits": 1})
        await front.call("beta", "POST", "/api/usage-events", {"user_id": "ada", "service": "chat", "credits": 5})
        counted = [[(await front.call(tenant, "GET", metrics)).data for tenant in ("acme", "beta")] for _ in range(2)]
        mine = {
            tenant: {"x-server-api-key": "", "authorization": f"Bearer {token('ada', secret=SECRETS[tenant])}"}
            for tenant in ("acme", "beta")
        }
        used = [(await front.text("acme", "GET", "/api/wallets/me", headers=mine["acme"]))[0] for _ in range(5)]
        fresh = await front.call("beta", "GET", "/api/wallets/me", headers=mine["beta"])

    assert counted[0] == counted[1]
    assert counted[0][0] != counted[0][1]
    assert used == [200, 200, 200, 429, 429]
    assert (fresh.status, fresh.data["email"]) == (200, "ada@beta.test")


async def test_the_limit_of_a_tenant_counts_all_its_credentials(front: Front) -> None:
    await front.service.configure("acme", overrides={"rate_limit_tenant": "4"})
    other = {"x-server-api-key": "", "authorization": f"Bearer {token('ada', secret=SECRETS['acme'], role='admin')}"}
    await _noticed(front)
    calls = [
        await front.text("acme", "GET", "/api/features", headers=headers) for headers in (other, {}) for _ in range(3)
    ]

    assert [status for status, _ in calls] == [200, 200, 200, 200, 429, 429]
    assert (await front.text("beta", "GET", "/api/features"))[0] == 200


async def _noticed(front: Front) -> None:
    """Let this process look at the registry at its next request, as it does after half a second."""
    front.container.tenants()._cache.forget()
