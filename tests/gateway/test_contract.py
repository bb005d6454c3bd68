"""The envelope, the codes and the guards that all calls share."""

import pytest

from support.apps import KEY, Gateway


@pytest.mark.parametrize(
    "headers",
    [{"x-server-api-key": ""}, {"x-server-api-key": "wrong-wrong-wrong-wrong"}, {"x-server-api-key": KEY + "x"}],
)
async def test_without_a_known_key_every_call_is_refused(gateway: Gateway, headers: dict[str, str]) -> None:
    refused = await gateway.call("GET", "/api/wallets/ada", headers=headers)

    assert (refused.status, refused.error["code"]) == (401, "unauthenticated")
    assert KEY not in str(refused.body)


async def test_the_key_is_accepted_as_bearer_token_too(gateway: Gateway) -> None:
    headers = {"x-server-api-key": "", "authorization": f"Bearer {KEY}"}

    assert (await gateway.call("GET", "/api/features", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed"),
        (b'{"user_id":"a","user_id":"b"}', {}, 400, "malformed"),
        (b"NaN", {}, 400, "malformed"),
        (b"\xff\xfe", {}, 400, "malformed"),
        (b"[" * 100, {}, 400, "malformed"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"metadata":"' + b"x" * 1_100_000 + b'"}', {}, 413, "too_large"),
        (b"[]", {}, 422, "invalid"),
        (b"null", {}, 422, "invalid"),
        (b"{}", {}, 422, "invalid"),
    ],
)
async def test_each_kind_of_bad_body_has_its_own_error(
    gateway: Gateway, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    refused = await gateway.call("POST", "/api/credits-process/start", body, headers=headers)

    assert (refused.status, refused.error["code"]) == (status, code)


async def test_every_wrong_field_is_named_and_no_value_is_repeated(gateway: Gateway) -> None:
    body = {
        "user_id": "canary value",
        "feature_endpoint_id": 7,
        "usages": [{"ai_model": "m", "input_tokens": -1}, {"ai_model": "m", "output_tokens": True}],
    }
    refused = await gateway.post("/api/credits-process/end-multimodel", body)

    assert [field["param"] for field in refused.error["fields"]] == [
        "user_id",
        "feature_endpoint_id",
        "usages.0.input_tokens",
        "usages.1.output_tokens",
    ]
    assert "canary" not in str(refused.body)


@pytest.mark.parametrize("tokens", [-1, 1.5, "5", True, None, 10**10])
async def test_token_counts_are_whole_numbers_from_zero(gateway: Gateway, tokens: object) -> None:
    body = {"user_id": "a", "feature_endpoint_value": "f", "usages": [{"ai_model": "m", "input_tokens": tokens}]}

    refused = await gateway.post("/api/credits-process/end-multimodel", body)

    assert refused.status == 422
    assert refused.error["detail"].startswith("usages.0.input_tokens is wrong: ")
    assert "[redacted]" not in str(refused.body)


async def test_a_misspelt_token_count_is_refused_and_not_ignored(gateway: Gateway) -> None:
    body = {"user_id": "a", "feature_endpoint_value": "f", "usages": [{"ai_model": "m", "cached_tokens": 5}]}
    refused = await gateway.post("/api/credits-process/end-multimodel", body)

    assert refused.status == 422
    assert "cached_tokens is not known here; did you mean cache_read_tokens?" in refused.error["detail"]


async def test_an_unknown_path_and_a_wrong_method_have_the_envelope_too(gateway: Gateway) -> None:
    nowhere = await gateway.get("/api/nowhere")
    wrong = await gateway.call("DELETE", "/api/wallets/ada")

    assert (nowhere.status, nowhere.error["code"]) == (404, "not_found")
    assert (wrong.status, wrong.error["code"]) == (405, "method_not_allowed")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT"}


async def test_the_request_id_is_accepted_or_made_and_returned(gateway: Gateway) -> None:
    given = await gateway.call("GET", "/api/nowhere", headers={"x-request-id": "mine-1"})
    odd = await gateway.call("GET", "/api/nowhere", headers={"x-request-id": "not an id!"})

    assert given.headers["x-request-id"] == given.error["request_id"] == "mine-1"
    assert odd.headers["x-request-id"] not in {"", "not an id!"}


async def test_the_probes_need_no_key(gateway: Gateway) -> None:
    health = await gateway.call("GET", "/healthz", headers={"x-server-api-key": ""})
    ready = await gateway.call("GET", "/readyz", headers={"x-server-api-key": ""})

    assert (health.status, health.data["status"]) == (200, "ok")
    assert (ready.status, ready.data["status"]) == (200, "ready")
    assert {check["name"] for check in ready.data["checks"]} == {"database", "migrations", "queue"}


async def test_without_a_database_calls_answer_503_and_readiness_says_why(gateway: Gateway) -> None:
    await gateway.get("/api/features")
    database = gateway.database
    await database.close()
    database._url = "postgresql://postgres@127.0.0.1:1/none"
    await database.open()

    refused = await gateway.start("ada", "GENERATE_QUESTION_PAPER")
    ready = await gateway.get("/readyz")

    assert (refused.status, refused.error["code"]) == (503, "unavailable")
    assert "127.0.0.1" not in refused.error["detail"]
    assert ready.status == 503
    assert [check["name"] for check in ready.data["checks"] if not check["ok"]] == ["database", "migrations", "queue"]


async def test_a_defect_is_a_500_without_internal_details(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("select secret from table")

    monkeypatch.setattr(gateway.container.catalog(), "current", broken)
    refused = await gateway.get("/api/features")

    assert (refused.status, refused.error["code"]) == (500, "internal")
    assert "secret" not in str(refused.body)


async def test_an_unknown_query_parameter_is_refused(gateway: Gateway) -> None:
    misspelt = await gateway.get("/api/usage?user=ada")
    twice = await gateway.get("/api/usage?limit=1&limit=2")
    nul = await gateway.get("/api/usage?user_id=a%00b")
    none = await gateway.get("/api/features?limit=5")

    assert [(a.status, a.error["param"]) for a in (misspelt, twice, nul, none)] == [
        (422, "user"),
        (422, "limit"),
        (400, "user_id"),
        (422, "limit"),
    ]


@pytest.mark.parametrize("path", ["/api/wallets/a%00b", "/api/wallets/a%20b", "/api/credits-process/%F0%9F%98%80"])
async def test_an_id_in_the_path_must_match_the_pattern(gateway: Gateway, path: str) -> None:
    assert (await gateway.get(path)).status == 422


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=utf-16", ""])
async def test_a_body_of_another_media_type_is_refused(gateway: Gateway, kind: str) -> None:
    refused = await gateway.call("POST", "/api/usage", b"{}", headers={"content-type": kind})

    assert (refused.status, refused.error["code"]) == (415, "unsupported_media_type")


async def test_lists_have_a_cursor_for_the_next_page(gateway: Gateway) -> None:
    assert (await gateway.get("/api/features")).body["meta"] == {"next_cursor": None}


async def test_a_fixed_path_is_never_read_as_an_id(gateway: Gateway) -> None:
    """`/bulk` and `/me` answer only their own methods, and list them in the 405 answer."""
    for method, path, allowed in (("GET", "/api/feature-usage-logs/bulk", "DELETE"), ("PUT", "/api/wallets/me", "GET")):
        answer = await gateway.call(method, path, {} if method == "PUT" else None)
        assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
        assert allowed in answer.headers["allow"]
