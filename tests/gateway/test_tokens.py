"""Tokens of people: fixed algorithms, issuer and audience; keys are fetched rarely and kept."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import jwt.warnings
import pytest
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from faregate.core.errors import EngineUnavailableError
from faregate.core.settings import isolated_settings
from faregate.gateway.container import GatewayContainer
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.main import create_app
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.security.tokens import SecretSource, TokenRules, Tokens
from support.people import SECRET, Provider, running_provider, token

ISSUER, AUDIENCE = "https://login.example.com/", "faregate"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as provider:
        provider.add("one")
        yield provider


def claims(**more: Any) -> dict[str, Any]:
    return CLAIMS | more


def tokens(provider: Provider, **options: Any) -> Tokens:
    return Tokens(KeySet(provider.url, **options), TokenRules(["RS256"], ISSUER, AUDIENCE))


SHARED = Tokens(SecretSource(SECRET), TokenRules(["HS256"], ISSUER, AUDIENCE))


async def refused(tokens: Tokens, text: str) -> bool:
    try:
        await tokens.principal(text)
    except UnauthenticatedError:
        return True
    return False


def unsigned(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    content = {"sub": "ada", "exp": int(time.time()) + 600, **CLAIMS, **claims}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(content)}."


async def test_claims_are_read_into_a_principal() -> None:
    found = await SHARED.principal(token("ada", role="analyst", org="acme", **CLAIMS))
    several = await SHARED.principal(token("ada", roles=["user", "admin", "emperor"], **CLAIMS))

    assert (found.user_id, found.organization_id, {r.value for r in found.roles}) == ("ada", "acme", {"analyst"})
    assert {role.value for role in several.roles} == {"user", "admin"}
    assert {r.value for r in (await SHARED.principal(token("ada", **CLAIMS))).roles} == {"user"}


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ({"role": "Admin"}, {"admin"}),
        ({"role": " ANALYST "}, {"analyst"}),
        ({"roles": ["User", "Emperor"]}, {"user"}),
        ({"roles": []}, {"user"}),
        ({"role": None}, {"user"}),
        ({}, {"user"}),
    ],
)
async def test_the_case_of_a_role_does_not_matter(given: dict[str, Any], roles: set[str]) -> None:
    """Roles of other systems may be listed besides it; a token without a role is a user's."""
    found = await SHARED.principal(token("ada", **CLAIMS, **given))

    assert {role.value for role in found.roles} == roles


@pytest.mark.parametrize(
    "given", [{"role": "administrator"}, {"roles": ["root", 7]}, {"role": ""}, {"role": {"admin": 1}}]
)
async def test_a_token_that_names_only_unknown_roles_is_refused_with_the_known_ones(given: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError, match="admin, analyst, user"):
        await SHARED.principal(token("ada", **CLAIMS, **given))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token("ada", **claims(exp=int(time.time()) - 60)), id="expired"),
        pytest.param(token("ada", exp=None, **CLAIMS), id="never expires"),
        pytest.param(token("ada", nbf=int(time.time()) + 86_400, **CLAIMS), id="not yet"),
        pytest.param(token("ada", **claims(iss="https://evil.example.com/")), id="issuer"),
        pytest.param(token("ada", aud=AUDIENCE), id="no issuer"),
        pytest.param(token("ada", iss=ISSUER), id="no audience"),
        pytest.param(token("ada", **claims(aud=["other", "another"])), id="audience list"),
        pytest.param(token("ada", secret="another-secret-of-32-characters-!", **CLAIMS), id="secret"),
        pytest.param(token("org:acme", **CLAIMS), id="an organisation"),
        pytest.param(token("a b", **CLAIMS), id="no id"),
        pytest.param(token("ada", algorithm="HS512", secret=SECRET * 2, **CLAIMS), id="algorithm"),
        pytest.param(unsigned(role="admin"), id="none"),
        pytest.param("x" * 1_000_000, id="1 MB"),
        pytest.param("a.b.c", id="nonsense"),
        pytest.param("", id="empty"),
    ],
)
async def test_an_invalid_token_is_refused(text: str) -> None:
    assert await refused(SHARED, text)


async def test_one_of_several_audiences_is_enough() -> None:
    assert (await SHARED.principal(token("ada", iss=ISSUER, aud=["other", AUDIENCE]))).user_id == "ada"


async def test_published_keys_verify_and_rotate(provider: Provider) -> None:
    known = tokens(provider, cool_down_seconds=0)
    first = await known.principal(provider.token("one", **CLAIMS))
    provider.add("two")
    second = await known.principal(provider.token("two", **CLAIMS))

    assert (first.user_id, second.user_id, provider.fetches) == ("ada", "ada", 2)


async def test_the_public_key_is_not_accepted_as_a_shared_secret(provider: Provider) -> None:
    """Algorithm confusion: HS256 with the published key as its secret."""
    public = provider.keys["one"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').decode().rstrip("=")
    body = jwt.encode({"sub": "ada", "exp": time.time() + 60, **CLAIMS}, SECRET).split(".")[1]
    signed = hmac.digest(pem, f"{head}.{body}".encode(), "sha256")
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"

    assert await refused(tokens(provider), forged)


async def test_ten_thousand_unknown_key_ids_cause_one_fetch(provider: Provider) -> None:
    known = tokens(provider)
    made_up = provider.token("one", **CLAIMS).split(".")
    for number in range(10_000):
        head = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": f"../{number}"}).encode()).decode()
        assert await refused(known, ".".join([head.rstrip("="), *made_up[1:]]))

    assert provider.fetches == 1


async def test_known_keys_stay_valid_while_the_identity_provider_is_unavailable(provider: Provider) -> None:
    known = tokens(provider, cool_down_seconds=0, refresh_seconds=0)
    await known.principal(provider.token("one", **CLAIMS))
    provider.up = False
    for _ in range(5):
        assert (await known.principal(provider.token("one", **CLAIMS))).user_id == "ada"
    provider.up, provider.published = True, []
    assert (await known.principal(provider.token("one", **CLAIMS))).user_id == "ada"


async def test_without_any_fetched_key_the_answer_is_not_401(provider: Provider) -> None:
    provider.up = False
    with pytest.raises(EngineUnavailableError):
        await tokens(provider).principal(provider.token("one", **CLAIMS))


async def test_the_first_of_two_keys_with_one_id_is_used_and_weak_ones_never(provider: Provider) -> None:
    provider.add("weak", bits=1024)
    original = provider.keys["one"]
    provider.add("one")
    known = tokens(provider)
    usurper = provider.token("one", **CLAIMS)
    provider.keys["one"] = original

    assert (await known.principal(provider.token("one", **CLAIMS))).user_id == "ada"
    assert await refused(known, usurper)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        weak = provider.token("weak", **CLAIMS)
    assert await refused(known, weak)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"jwt_secret": SECRET}, ["iss", "aud"]),
        ({"jwks_url": "https://login.example.com/keys"}, ["iss", "aud"]),
        ({"jwt_secret": SECRET, "jwt_issuer": ISSUER}, ["aud"]),
        ({"jwt_secret": SECRET, "jwt_audience": AUDIENCE}, ["iss"]),
        ({"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}, []),
        ({}, []),
    ],
)
def test_a_claim_that_is_not_checked_is_logged_at_start(given: dict[str, Any], told: list[str]) -> None:
    """One warning for each claim, with the setting that checks it."""
    with capture_logs() as logs:
        create_app(GatewayContainer(settings=isolated_settings(**given)))

    found = [line for line in logs if line["event"] == "claim_not_checked"]
    assert [line["claim"] for line in found] == told
    assert {line["log_level"] for line in found} <= {"warning"}
    assert all(line["fix"].startswith("set FAREGATE_JWT_") for line in found)
