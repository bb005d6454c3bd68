"""Paths with a trailing slash, suggestions, web pages, proxies."""

from collections.abc import AsyncIterator

import pytest

from faregate.core.errors import ConfigurationError
from faregate.core.settings import isolated_settings, load_settings
from faregate.gateway.container import GatewayContainer
from faregate.gateway.http.operation import operations_of
from faregate.gateway.http.path_hints import OLDER_NAMES
from faregate.gateway.security.client_address import client_of
from support.apps import Gateway, open_gateway, settings_for

PAGE = "https://app.example.com"


@pytest.fixture
async def open_to_pages(database_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(
        database_url, cors_origins=f"{PAGE}, https://admin.example.com:8443", trusted_proxies="127.0.0.1"
    )
    async with open_gateway(settings) as gateway:
        yield gateway


async def test_a_trailing_slash_is_refused_with_the_right_path(gateway: Gateway) -> None:
    """No redirect: it would lose the body of a POST."""
    for method, path in (("GET", "/api/wallets/ada/"), ("POST", "/api/usage-events/"), ("GET", "/healthz//")):
        answer = await gateway.call(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.error["code"]) == (404, "not_found")
        assert answer.error["detail"].endswith(f"remove the slash at the end: {path.rstrip('/')}")

    nothing = await gateway.get("/api/nothing/")
    assert (nothing.status, "/docs" in nothing.error["detail"]) == (404, True)


async def test_a_misspelt_path_is_refused_with_the_right_one(gateway: Gateway) -> None:
    for path, meant in (("/api/analytics/metric", "/api/analytics/metrics"), ("/api/wallet/me", "/api/wallets/me")):
        answer = await gateway.get(path)
        assert (answer.status, answer.error["detail"]) == (
            404,
            f"There is nothing at {path}; did you mean {meant}? See /docs",
        )


async def test_a_function_name_of_the_older_documents_is_refused_with_the_current_call(gateway: Gateway) -> None:
    for name, meant in OLDER_NAMES.items():
        answer = await gateway.get(f"/api/{name}")
        assert (answer.status, f"did you mean {meant}?" in answer.error["detail"]) == (404, True)


def test_every_suggested_call_exists() -> None:
    container = GatewayContainer(settings=isolated_settings(database_url="postgresql://nowhere/none"))
    known = {
        f"{declared.method} {declared.path}"
        for controller in container.controllers()
        for declared, _ in operations_of(controller)
    }
    calls = {meant.partition("?")[0] for meant in OLDER_NAMES.values() if not meant.startswith("`")}

    assert calls <= known


async def test_a_call_without_credential_is_refused_with_instructions(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/api/wallets/ada", headers={"x-server-api-key": ""})

    assert answer.status == 401
    assert "Authorization header" in answer.error["detail"]
    assert "[redacted" not in answer.error["detail"]


async def test_pages_of_configured_origins_may_call_with_a_token(open_to_pages: Gateway) -> None:
    """Preflight and answers name the origin; limits and ids are readable; cookies and server keys are not allowed."""
    asked = {"origin": PAGE, "access-control-request-method": "GET"}
    preflight = await open_to_pages.call(
        "OPTIONS", "/api/wallets/me", headers={**asked, "access-control-request-headers": "authorization"}, raw=True
    )
    key = await open_to_pages.call(
        "OPTIONS", "/api/wallets/me", headers={**asked, "access-control-request-headers": "x-server-api-key"}, raw=True
    )
    answer = await open_to_pages.call("GET", "/api/wallets/ada", headers={"origin": PAGE})
    stranger = await open_to_pages.call("GET", "/api/wallets/ada", headers={"origin": "https://evil.example"})

    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "access-control-allow-credentials" not in preflight.headers
    assert key.status == 400
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert answer.status == 404
    assert "access-control-allow-origin" not in stranger.headers


async def test_without_the_setting_no_page_may_call(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/api/wallets/ada", headers={"origin": PAGE})

    assert [name for name in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cors_origins", "app.example.com"),
        ("cors_origins", "https://a.example/path"),
        ("trusted_proxies", "10.0.0.0/99"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"FAREGATE_{name.upper()}"):
        load_settings(**{name: value})


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["x" * 5000], "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_not_a_proxy(peer: str, forwarded: list[str], client: str) -> None:
    """Addresses that callers add are not trusted, and an invalid address is ignored."""
    settings = load_settings(trusted_proxies="10.0.0.0/8")

    assert client_of(peer, forwarded, settings.proxy_networks) == client


@pytest.mark.parametrize("trusted", [True, False])
async def test_forwarded_addresses_are_trusted_only_from_configured_proxies(
    gateway: Gateway, open_to_pages: Gateway, trusted: bool
) -> None:
    """Also from loopback; an invalid address does not break an audited write."""
    called = open_to_pages if trusted else gateway
    for forwarded in ("203.0.113.7", "unknown"):
        made = await called.call(
            "POST",
            "/api/wallets/ada/grants",
            {"credits": 1, "source": "bonus"},
            headers={"x-forwarded-for": forwarded},
        )
        assert made.status == 201, made.body
    entries = (await called.get("/api/audit?limit=10")).data
    addresses = [entry["address"] for entry in entries if entry["action"].endswith("grant")]

    assert set(addresses) == ({"203.0.113.7", "127.0.0.1"} if trusted else {"127.0.0.1"}), entries


async def test_the_root_leads_a_browser_to_the_dashboard(gateway: Gateway) -> None:
    browser = await gateway.call("GET", "/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, raw=True)
    client = await gateway.call("GET", "/", headers={"accept": "application/json"})
    plain = await gateway.get("/")

    assert (browser.status, browser.headers["location"]) == (303, "/dashboard")
    assert (client.status, client.error["code"], plain.status) == (404, "not_found", 404)
