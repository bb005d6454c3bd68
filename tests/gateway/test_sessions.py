"""Sessions of browsers: sign-in, what a session may do, forged requests, sign-out."""

from collections.abc import AsyncIterator, Mapping

import pytest

from faregate.gateway.security.sessions import COOKIE
from support.apps import KEY, Answer, Gateway, open_gateway, settings_for
from support.people import SECRET, bearer

NO_KEY = {"x-server-api-key": ""}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


async def sign_in(gateway: Gateway, credential: Mapping[str, str]) -> dict[str, str]:
    """Sign in; return the headers of a page of the dashboard."""
    answer = await gateway.call("POST", "/api/session", headers=credential)
    assert answer.status == 200, answer.body
    gateway.http.cookies.clear()
    token = answer.headers["set-cookie"].partition(";")[0]
    return {**NO_KEY, "cookie": token, "x-csrf-token": answer.data["csrf_token"]}


async def whoever(gateway: Gateway, headers: Mapping[str, str]) -> Answer:
    return await gateway.call("GET", "/api/session", headers=headers)


async def test_a_key_or_a_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/api/session", headers={"x-server-api-key": KEY})
    cookie = answer.headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert KEY not in str(answer.body)
    page = await sign_in(gateway, bearer("ada", role="analyst"))
    who = await whoever(gateway, page)
    assert (who.data["user_id"], who.data["roles"]) == ("ada", ["analyst"])


async def test_over_https_the_cookie_is_sent_over_https_only(gateway: Gateway, database_url: str) -> None:
    response = await gateway.http.post("https://gateway/api/session", headers={"x-server-api-key": KEY})

    assert "Secure" in response.headers["set-cookie"].split("; ")
    async with open_gateway(settings_for(database_url, public_url="https://credits.example.com")) as behind_a_proxy:
        answer = await behind_a_proxy.call("POST", "/api/session")
    assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_a_session_may_do_what_its_credential_may_do(gateway: Gateway) -> None:
    analyst = await sign_in(gateway, bearer("ada", role="analyst"))

    assert (await gateway.call("GET", "/api/analytics/metrics", headers=analyst)).status == 200
    refused = await gateway.call("PUT", "/api/features/chat", {"strategy": "free"}, headers=analyst)
    assert (refused.status, refused.error["code"]) == (403, "scope_missing")


async def test_a_change_without_the_token_of_the_session_is_refused(gateway: Gateway) -> None:
    page = await sign_in(gateway, {"x-server-api-key": KEY})
    body = {"strategy": "free"}
    for sent in ("", "0" * 40, page["cookie"]):
        answer = await gateway.call("PUT", "/api/features/chat", body, headers={**page, "x-csrf-token": sent})
        assert (answer.status, answer.error["param"]) == (403, "x-csrf-token")

    assert (await gateway.call("PUT", "/api/features/chat", body, headers=page)).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_request_made_by_a_page_of_another_site_is_refused(gateway: Gateway, site: str) -> None:
    page = await sign_in(gateway, {"x-server-api-key": KEY})

    answer = await gateway.call("GET", "/api/analytics/metrics", headers={**page, "sec-fetch-site": site})

    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    with_key = {"x-server-api-key": KEY, "sec-fetch-site": site}
    assert (await gateway.call("GET", "/api/analytics/metrics", headers=with_key)).status == 200


async def test_signing_out_ends_the_session_on_the_server(gateway: Gateway) -> None:
    page, other = [await sign_in(gateway, bearer("ada", role="admin")) for _ in range(2)]

    ended = await gateway.call("DELETE", "/api/session", headers=page)

    assert (ended.data["ended"], "Max-Age=0" in ended.headers["set-cookie"]) == (1, True)
    assert ((await whoever(gateway, page)).status, (await whoever(gateway, other)).status) == (401, 200)


async def test_signing_out_everywhere_ends_all_sessions_of_the_person_and_no_others(gateway: Gateway) -> None:
    ada = [await sign_in(gateway, bearer("ada", role="admin")) for _ in range(3)]
    bob, key = await sign_in(gateway, bearer("bob")), await sign_in(gateway, {"x-server-api-key": KEY})

    ended = await gateway.call("DELETE", "/api/session?everywhere=true", headers=ada[0])

    assert ended.data["ended"] == 3
    assert [(await whoever(gateway, page)).status for page in [*ada, bob, key]] == [401, 401, 401, 200, 200]


async def test_a_session_ends_with_the_key_that_opened_it(gateway: Gateway) -> None:
    made = await gateway.post("/api/keys", {"name": "desk", "scopes": ["analytics:read"]})
    page = await sign_in(gateway, {"x-server-api-key": made.data["key"]})
    assert (await whoever(gateway, page)).data["scopes"] == ["analytics:read"]

    await gateway.call("DELETE", f"/api/keys/{made.data['key_id']}")
    gateway.container.keys().forget()

    assert (await whoever(gateway, page)).status == 401


async def test_another_bootstrap_key_ends_the_sessions_of_the_old_one(gateway: Gateway, database_url: str) -> None:
    page = await sign_in(gateway, {"x-server-api-key": KEY})
    changed = settings_for(database_url).model_copy(update={"server_api_key": None})

    async with open_gateway(changed) as later:
        assert (await whoever(later, page)).status == 401


async def test_an_expired_session_is_refused_and_deleted_by_the_next_sign_in(gateway: Gateway) -> None:
    page = await sign_in(gateway, bearer("ada"))
    async with gateway.database.transaction() as session:
        await gateway.database.rows(session, "update faregate.web_session set expires_at = now()")

    assert (await whoever(gateway, page)).status == 401
    await sign_in(gateway, bearer("ada"))
    async with gateway.database.transaction() as session:
        ((left,),) = await gateway.database.rows(session, "select count(*) from faregate.web_session")
    assert left == 1


async def test_sign_in_sign_out_and_changes_are_audited_with_the_person(gateway: Gateway) -> None:
    page = await sign_in(gateway, bearer("ada", role="admin"))
    await gateway.call("PUT", "/api/features/chat", {"strategy": "free"}, headers=page)
    await gateway.call("DELETE", "/api/session", headers=page)

    entries = (await gateway.get("/api/audit")).data

    assert [(entry["action"], entry["actor_user_id"]) for entry in entries] == [
        ("session.sign_out", "ada"),
        ("features.put_feature", "ada"),
        ("session.sign_in", "ada"),
    ]


async def test_a_visit_is_recorded_once_however_often_its_page_reads_the_same(gateway: Gateway) -> None:
    page = await sign_in(gateway, bearer("ada", role="analyst"))
    for owner in ("bela", "carla"):
        await gateway.grant(owner, 1)
    for path in ("/api/analytics/dashboard", "/api/wallets/bela", "/api/wallets/carla"):
        for _ in range(3):
            assert (await gateway.call("GET", path, headers=page)).status == 200
    by_token = [await gateway.call("GET", "/api/wallets/bela", headers=bearer("ada", role="analyst")) for _ in range(2)]

    entries = (await gateway.get("/api/audit?actor_user_id=ada")).data
    reads = [(entry["action"], entry["owner_id"]) for entry in entries if entry["action"] != "session.sign_in"]
    assert [answer.status for answer in by_token] == [200, 200]
    assert sorted(map(str, reads)) == sorted(map(str, [
        ("analytics.dashboard", None), ("wallets.get_wallet", "bela"), ("wallets.get_wallet", "carla"),
        *[("wallets.get_wallet", "bela")] * 2,
    ]))  # fmt: skip


async def test_an_erasure_ends_the_sessions_of_the_person(gateway: Gateway) -> None:
    page = await sign_in(gateway, bearer("ada"))

    assert (await gateway.post("/api/privacy/erase", {"user_id": "ada"})).status == 200

    assert (await whoever(gateway, page)).status == 401


async def sign_in_link(gateway: Gateway, credential: Mapping[str, str], **body: int) -> dict[str, str]:
    """Make a link; return the headers of a browser that follows it."""
    answer = await gateway.call("POST", "/api/session/links", body, headers=credential)
    assert answer.status == 201, answer.body
    return {**NO_KEY, "authorization": f"Bearer {answer.data['url'].partition('/dashboard#')[2]}"}


async def test_a_link_signs_in_once_as_the_one_who_made_it(gateway: Gateway) -> None:
    for credential, name in (({"x-server-api-key": KEY}, "bootstrap"), (bearer("ada", role="analyst"), "user:ada")):
        follower = await sign_in_link(gateway, credential)
        page = await sign_in(gateway, follower)
        who = (await whoever(gateway, page)).data
        assert who["id"] == name
        assert "analytics:read" in who["scopes"]
        again = await gateway.call("POST", "/api/session", headers=follower)
        assert (again.status, "was used or has expired" in again.error["detail"]) == (401, True)


async def test_a_link_is_good_for_nothing_else_than_to_sign_in(gateway: Gateway) -> None:
    follower = await sign_in_link(gateway, bearer("ada", role="user"))
    token = follower["authorization"].removeprefix("Bearer ")

    for method, path in (("GET", "/api/session"), ("GET", "/api/analytics/my-usage"), ("GET", "/api/wallets/ada")):
        assert (await gateway.call(method, path, headers=follower)).status == 403, path
    as_cookie = await gateway.call("GET", "/api/session", headers={**NO_KEY, "cookie": f"{COOKIE}={token}"})
    assert as_cookie.status == 401


async def test_a_link_ends_by_time_and_with_its_key(gateway: Gateway) -> None:
    old = await sign_in_link(gateway, {"x-server-api-key": KEY}, expires_in_seconds=30)
    async with gateway.database.transaction() as session:
        await gateway.database.rows(session, "update faregate.web_session set expires_at = now()")
    key = (await gateway.post("/api/keys", {"name": "desk", "scopes": ["analytics:read"]})).data
    of_key = await sign_in_link(gateway, {"x-server-api-key": key["key"]})
    await gateway.call("DELETE", f"/api/keys/{key['key_id']}")

    for follower in (old, of_key):
        assert (await gateway.call("POST", "/api/session", headers=follower)).status == 401
    refused = await gateway.call("POST", "/api/session/links", {"expires_in_seconds": 90_000})
    assert (refused.status, "expires_in_seconds" in str(refused.error)) == (422, True)
