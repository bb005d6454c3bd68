"""Reserved ids: no new user or organisation may have the name of an actor such as a credential."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.db.subjects import PERSON, person_of
from faregate.core.errors import InvalidError
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.tokens import SecretSource, TokenRules, Tokens
from faregate.wire.ids import (
    EXTERNAL_ID_PATTERN,
    RESERVED_NAMES,
    RESERVED_PREFIXES,
    check_not_reserved,
    is_reserved,
)
from support.apps import Gateway
from support.people import SECRET, token

RESERVED = [
    "bootstrap",
    "Bootstrap",
    "user:ada",
    "key:01",
    "USER:ada",
    "system:jobs",
    "erased:7",
    "faregate:use",
    "cli:root",
]
USAGE = {"ai_model": "gpt-4o", "input_tokens": 10, "output_tokens": 1}
any_id = st.from_regex(EXTERNAL_ID_PATTERN, fullmatch=True)


@given(any_id)
def test_no_user_id_is_the_name_of_another_kind_of_actor(name: str) -> None:
    if is_reserved(name):
        with pytest.raises(InvalidError, match="is reserved"):
            check_not_reserved(name)
        assert name.startswith(PERSON) or person_of(name) is None
    else:
        assert check_not_reserved(name) == person_of(name) == person_of(f"{PERSON}{name}") == name


@given(st.sampled_from([*RESERVED_NAMES, *(f"{prefix}7" for prefix in RESERVED_PREFIXES)]), st.data())
def test_every_reserved_name_is_reserved_in_any_case_and_for_organisations_too(name: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)

    assert is_reserved(spelled)
    assert is_reserved(f"org:{spelled}")


@pytest.mark.parametrize(
    "usual", ["auth0-5f7c", "ada@example.com", "users:ada", "bootstrap2", "keynes", "cli-user", "erased"]
)
def test_usual_ids_are_allowed(usual: str) -> None:
    assert check_not_reserved(usual) == usual


@pytest.mark.parametrize("name", RESERVED)
async def test_every_call_refuses_a_reserved_user(gateway: Gateway, name: str) -> None:
    await gateway.feature("chat")
    start = {"user_id": name, "feature_endpoint_value": "chat", "usage_key": "k"}
    answers = [
        await gateway.call("POST", f"/api/wallets/{name}/grants", {"credits": 5, "source": "purchase"}),
        await gateway.call("POST", "/api/credits-process/start", start),
        await gateway.call("POST", "/api/credits-process/end-multimodel", {**start, "usages": [USAGE]}),
        await gateway.call("POST", "/api/usage", {"user_id": name, "feature_key": "chat", "usages": [USAGE]}),
        await gateway.call("PUT", "/api/organizations/acme", {"join": [name]}),
        await gateway.call("PUT", f"/api/organizations/{name}", {"join": ["ada"]}),
    ]

    assert [answer.status for answer in answers] == [422] * len(answers)
    assert all("is reserved" in answer.error["detail"] for answer in answers)


async def test_a_reserved_user_in_an_array_does_not_affect_the_others(gateway: Gateway) -> None:
    events = [{"user_id": user, "service": "chat", "id": user} for user in ("ada", "bootstrap", "ben")]
    events.append({"user_id": "eve", "organization_id": "key:1", "service": "chat", "id": "eve"})
    recorded = await gateway.call("POST", "/api/usage-events", events)
    logs = [
        {"user_id": user, "feature_endpoint_value": "chat", "method": "POST", "code": 200, "status": "success"}
        for user in ("ada", "user:x", "ben")
    ]
    kept = await gateway.call("POST", "/api/feature-usage-logs", logs)

    assert (recorded.data["accepted"], [item["index"] for item in recorded.data["rejected"]]) == (2, [1, 3])
    assert all("is reserved" in item["error"] for item in recorded.data["rejected"])
    assert [item["index"] for item in kept.data["rejected"]] == [1]
    assert kept.data["accepted"] == 2


async def test_an_existing_user_with_a_reserved_name_stays_and_is_not_confused_with_the_credential(
    gateway: Gateway,
) -> None:
    """Neither in the audit log nor by an erasure, which would remove the credential's name from its entries."""
    database = gateway.container.database()
    async with database.transaction() as session:
        await database.rows(session, "insert into faregate.subject (external_id) values ('bootstrap')")
    granted = await gateway.call("POST", "/api/wallets/bootstrap/grants", {"credits": 5, "source": "purchase"})
    made = await gateway.call("POST", "/api/keys", {"name": "shop", "scopes": ["ops:read"]})
    erased = await gateway.call("POST", "/api/privacy/erase", {"user_id": "bootstrap"})
    entries = (await gateway.get("/api/audit?action=keys.create_key")).data
    shown = (await gateway.get(f"/api/keys/{made.data['key_id']}")).data

    assert (granted.status, made.status, erased.status) == (201, 201, 200)
    assert {(entry["actor"], entry["actor_user_id"]) for entry in entries} == {("bootstrap", None)}
    assert shown["created_by"] == "bootstrap"


@pytest.mark.parametrize("claims", [{"sub": "bootstrap"}, {"sub": "key:1"}, {"sub": "ada", "org": "system:jobs"}])
async def test_a_token_for_a_reserved_name_is_refused(claims: dict[str, Any]) -> None:
    tokens = Tokens(SecretSource(SECRET), TokenRules(["HS256"], None, None))

    with pytest.raises(UnauthenticatedError, match="is reserved"):
        await tokens.principal(token(**claims))
