"""Sign-in with an OpenID Connect issuer: authorisation code with PKCE, against an issuer on a socket."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from faregate.core.errors import ConfigurationError
from faregate.gateway.container import make_oidc
from faregate.gateway.security.sessions import COOKIE
from support.apps import Gateway, open_gateway, settings_for
from support.people import Provider
from support.serving import serving


class Issuer:
    """A local issuer: signs everybody in as `claims`, and checks the code's verifier as RFC 7636 says."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.provider.add("one")
        self.url = ""
        self.claims: dict[str, Any] = {"sub": "ada", "roles": ["admin"]}
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: dict[str, str] = {}

    async def configuration(self, _request: Request) -> Response:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return JSONResponse({"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in ends.items()}})

    async def authorize(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        code = f"code-{len(self.codes)}"
        self.codes[code] = self.asked
        return RedirectResponse(f"{self.asked['redirect_uri']}?code={code}&state={self.asked['state']}", 302)

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        begun = self.codes.pop(form["code"], None)
        digest = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        known = begun is not None and begun["code_challenge"] == digest and form["client_secret"] == "between-us"
        if begun is None or not known or begun["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"iss": self.url, "aud": "desk", "nonce": begun["nonce"], **self.claims}
        return JSONResponse({"id_token": self.provider.token("one", **claims), "token_type": "Bearer"})


@asynccontextmanager
async def running_issuer() -> AsyncGenerator[Issuer]:
    issuer = Issuer()
    routes = [
        Route("/.well-known/openid-configuration", issuer.configuration),
        Route("/authorize", issuer.authorize),
        Route("/token", issuer.token, methods=["POST"]),
        Route("/jwks", issuer.provider.serve),
    ]
    async with serving(uvicorn.Config(Starlette(routes=routes), port=0, log_config=None)) as url:
        issuer.url = url
        yield issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def gateway(database_url: str, issuer: Issuer) -> AsyncIterator[Gateway]:
    more = {"oidc_issuer": issuer.url, "oidc_client_id": "desk", "oidc_client_secret": "between-us"}
    async with open_gateway(settings_for(database_url, **more)) as gateway:
        yield gateway


async def begin(gateway: Gateway, to: str = "/dashboard/explore?by=user") -> str:
    """Go to the issuer as a browser does; return the address that it sends the browser back to."""
    import httpx2

    response = await gateway.http.get("/dashboard/sign-in/oidc", params={"to": to})
    assert response.status_code == 303
    async with httpx2.AsyncClient() as browser:
        back = await browser.get(response.headers["location"])
    return str(back.headers["location"]).removeprefix("http://gateway")


async def test_a_person_signs_in_with_the_issuer_and_returns_to_the_page(gateway: Gateway, issuer: Issuer) -> None:
    back = await begin(gateway)
    answer = await gateway.http.get(back)
    who = await gateway.http.get("/api/session")

    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/explore?by=user")
    assert (who.json()["data"]["user_id"], who.json()["data"]["roles"]) == ("ada", ["admin"])
    assert issuer.asked["code_challenge_method"] == "S256"
    assert "openid" in issuer.asked["scope"].split()
    (entry,) = (await gateway.get("/api/audit?action=session.sign_in")).data
    assert (entry["actor_user_id"], entry["target"]) == ("ada", {"by": "oidc"})


async def test_a_code_is_worth_nothing_to_another_browser_or_a_second_time(gateway: Gateway) -> None:
    back = await begin(gateway)
    mine = dict(gateway.http.cookies)
    gateway.http.cookies.clear()
    await begin(gateway)  # another attempt, with its own state and verifier
    stolen = await gateway.http.get(back)
    gateway.http.cookies.clear()
    nobody = await gateway.http.get(back)
    gateway.http.cookies.update(mine)
    first = await gateway.http.get(back)
    gateway.http.cookies.update(mine)
    again = await gateway.http.get(back)

    refused = [answer.headers["location"] for answer in (stolen, nobody, again)]
    assert refused == ["/dashboard?sign_in=failed"] * 3
    assert COOKIE in first.headers["set-cookie"]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "somebody"},
        {"iss": "https://elsewhere"},
        {"exp": 1},
        {"roles": ["king"]},
        {"sub": "org:x"},
    ],
)
async def test_a_token_for_another_purpose_opens_no_session(gateway: Gateway, issuer: Issuer, claims: Any) -> None:
    issuer.claims |= claims

    answer = await gateway.http.get(await begin(gateway))

    assert answer.headers["location"] == "/dashboard?sign_in=failed"
    assert COOKIE not in gateway.http.cookies


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/dashboard\\@evil", "/docs", "/dashboardx"])
async def test_the_sign_in_returns_to_pages_of_the_dashboard_only(gateway: Gateway, to: str) -> None:
    answer = await gateway.http.get(await begin(gateway, to))

    assert urlsplit(answer.headers["location"])[1:3] == ("", "/dashboard")


async def test_an_issuer_that_is_away_is_told_at_the_sign_in(database_url: str) -> None:
    settings = settings_for(database_url, oidc_issuer="http://127.0.0.1:9", oidc_client_id="desk")
    async with open_gateway(settings) as gateway:
        answer = await gateway.http.get("/dashboard/sign-in/oidc")

    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"sign_in": ["failed"]}


async def test_without_an_issuer_the_page_offers_keys_only(database_url: str) -> None:
    async with open_gateway(settings_for(database_url)) as gateway:
        config = (await gateway.http.get("/dashboard/config.json")).json()

    assert config == {"oidc": False}


def test_an_issuer_without_a_client_id_is_refused(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="FAREGATE_OIDC_CLIENT_ID"):
        make_oidc(settings_for(database_url, oidc_issuer="https://login.example.com"))
