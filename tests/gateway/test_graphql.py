"""GraphQL: the answers, permissions, limits and audit entries of the HTTP calls; exact amounts; no statement per object."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries
from pytest_mock import MockerFixture

from faregate.analytics.question.filters import Question
from faregate.analytics.values import UsageMetrics
from faregate.core.db.partitions import Month
from faregate.core.errors import ConfigurationError
from faregate.gateway.controllers.graphql import GraphqlController
from faregate.gateway.errors import STATUS
from faregate.gateway.graphql.documents import Documents, registered_queries
from faregate.gateway.graphql.schema import schema_text
from faregate.gateway.http.dialects import GRAPHQL_JSON
from faregate.gateway.http.operation import declared
from faregate.gateway.security.auth import Scope
from support.apps import Answer, Gateway, open_gateway, settings_for
from support.docs import ROOT
from support.people import SECRET, bearer

NEWER = {"accept": GRAPHQL_JSON}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


async def ask(gateway: Gateway, query: str, *, headers: Mapping[str, str] | None = None, **variables: object) -> Answer:
    return await gateway.call("POST", "/graphql", {"query": query, "variables": variables}, headers=headers)


async def data(gateway: Gateway, query: str, *, headers: Mapping[str, str] | None = None, **variables: object) -> Any:
    answer = await ask(gateway, query, headers=headers, **variables)
    assert "errors" not in answer.body, answer.body["errors"]
    return answer.data


def codes(answer: Answer) -> dict[str, str]:
    """Return the code of each error by its path."""
    return {
        ".".join(map(str, error.get("path", []))): error["extensions"]["code"]
        for error in answer.body.get("errors", [])
    }


async def use(gateway: Gateway, user: str, *keys: str) -> None:
    """Let a user with 20.000001 credits use a feature of 1 credit by these keys, one line of a model each."""
    await gateway.grant(user, Decimal("20.000001"))
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 1})
    for key in keys:
        await gateway.post("/api/usage", {"user_id": user, "feature_key": "paper", "usage_key": key})


async def test_amounts_are_exact_texts_and_equal_to_those_of_the_http_calls(gateway: Gateway) -> None:
    await use(gateway, "ada", "k1", "k2")
    wallet = (await gateway.get("/api/wallets/ada")).data
    usage = (await gateway.get("/api/usage?user_id=ada")).data
    story = (await gateway.get("/api/usage/k1")).data
    metrics = (await gateway.get("/api/analytics/metrics")).data

    found = await data(
        gateway,
        """query ($key: ID!) {
          wallet(ownerId: "ada") { credits balance held status grants { id credits remaining source }
            transactions { items { id kind amount balance usageKey } nextCursor } }
          usage(userId: "ada") { items { id usageKey creditsCharged executedAt } nextCursor }
          story(usageKey: $key) { usageKey userId status creditsCharged flags createdAt
            transactions { id amount } events { kind credits } }
          analytics { metrics { totalRequests totalCredits chargedCredits providerCostUsd } } }""",
        key="k1",
    )

    assert found["wallet"]["credits"] == "18.000001" == str(wallet["credits"])
    assert found["wallet"]["grants"][0]["credits"] == "20.000001"
    assert found["wallet"]["grants"][0]["id"] == wallet["grants"][0]["id"]
    assert [each["amount"] for each in found["wallet"]["transactions"]["items"]] == ["-1", "-1", "20.000001"]
    assert (
        [each["usageKey"] for each in found["usage"]["items"]] == [each["usage_key"] for each in usage] == ["k2", "k1"]
    )
    assert [each["executedAt"] for each in found["usage"]["items"]] == [each["executed_at"] for each in usage]
    assert found["story"]["transactions"] == [{"id": story["transactions"][0]["id"], "amount": "-1"}]
    assert found["story"]["events"] == [{"kind": "request", "credits": "1"}]
    assert found["analytics"]["metrics"]["totalRequests"] == metrics["totalRequests"] == 2
    assert found["analytics"]["metrics"]["totalCredits"] == str(metrics["totalCredits"]) == "2"


async def test_pages_follow_each_other_and_hold_each_object_once(gateway: Gateway) -> None:
    await use(gateway, "ada", *"abcde")
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = (
            await data(
                gateway,
                "query ($after: String) { usage(limit: 2, cursor: $after) { items { usageKey } nextCursor } }",
                after=cursor,
            )
        )["usage"]
        seen += [each["usageKey"] for each in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break

    assert seen == list("edcba")
    wrong = await ask(gateway, '{ usage(cursor: "nonsense") { nextCursor } wallet(ownerId: "ada") { credits } }')
    assert codes(wrong) == {"usage": "invalid"}
    assert wrong.data == {"usage": None, "wallet": {"credits": "15.000001"}}, "the other field is answered"


async def test_the_number_of_statements_does_not_grow_with_the_number_of_objects(
    gateway: Gateway, mocker: MockerFixture
) -> None:
    """Two users, or ten: wallets, grants, transactions, stories, events and logs are read for all objects at once."""
    query = """query ($n: Int!) { usage(limit: $n) { items { wallet { credits organizationId grants { id }
      transactions(limit: 3) { items { amount story { status } } } }
      story { status lines { model } transactions { id } events { kind } featureLogs { id } } } } }"""
    for number in range(10):
        await use(gateway, f"user-{number}", f"key-{number}")
    counted = mocker.spy(gateway.database, "rows")
    figures: list[tuple[int, int]] = []
    for number in (2, 10, 2, 10):
        counted.reset_mock()
        found = await data(gateway, query, n=number)
        figures.append((len(found["usage"]["items"]), counted.call_count))

    print("objects and statements:", figures)
    assert [objects for objects, _ in figures] == [2, 10, 2, 10]
    assert figures[2][1] == figures[3][1] <= 20


QUERIES: dict[str, tuple[str, Scope | None]] = {
    "caller": ("{ caller { userId } }", None),
    "wallet": ('{ wallet(ownerId: "ada") { credits } }', Scope.WALLETS_READ),
    "wallets": ("{ wallets { items { ownerId } } }", Scope.WALLETS_READ),
    "usage": ("{ usage { items { id } } }", Scope.USAGE_READ),
    "story": ('{ story(usageKey: "k1") { status } }', Scope.USAGE_READ),
    "analytics": ("{ analytics { metrics { totalRequests } } }", Scope.ANALYTICS_READ),
}


async def test_each_field_needs_the_scope_of_its_http_call(gateway: Gateway) -> None:
    """Every scope alone, on every root field."""
    await use(gateway, "ada", "k1")
    for scope in Scope:
        made = await gateway.post("/api/keys", {"name": scope.value, "scopes": [scope.value]})
        headers = {"x-server-api-key": made.data["key"]}
        for name, (query, needed) in QUERIES.items():
            answer = await ask(gateway, query, headers=headers)
            expected = {} if needed in {None, scope} else {name: "scope_missing"}
            assert codes(answer) == expected, (scope, name, answer.body)
            assert answer.status == 200


async def test_fields_within_other_fields_need_their_own_scopes(gateway: Gateway) -> None:
    """A key that may read uses sees neither wallets nor logs, nor the seller's costs."""
    await use(gateway, "ada", "k1")
    made = await gateway.post("/api/keys", {"name": "uses", "scopes": ["usage:read"]})
    headers = {"x-server-api-key": made.data["key"]}
    answer = await ask(
        gateway,
        "{ usage { items { usageKey wallet { credits } story { status featureLogs { id } events { kind } } } } }",
        headers=headers,
    )

    assert codes(answer) == {
        "usage.items.0.wallet": "scope_missing",
        "usage.items.0.story.featureLogs": "scope_missing",
    }
    (found,) = answer.data["usage"]["items"]
    assert (found["wallet"], found["story"]["status"]) == (None, "settled")


async def test_people_see_their_own_data_and_nobody_elses(gateway: Gateway) -> None:
    await use(gateway, "ada", "k1")
    await use(gateway, "bela", "k2")
    ada = bearer("ada", role="user")
    mine = await data(
        gateway,
        """{ caller { userId roles } wallet { ownerId credits transactions { items { amount } } }
          usage { items { usageKey wallet { credits } story { status } } } story(usageKey: "k1") { creditsCharged }
          analytics { metrics { totalRequests } topUsers { userId } services { service } models { model }
            timeseries { requests } } }""",
        headers=ada,
    )
    others = await ask(
        gateway,
        """{ wallet(ownerId: "bela") { credits } wallets { items { ownerId } } usage(userId: "bela") { nextCursor }
          story(usageKey: "k2") { status } unknown: story(usageKey: "k9") { status }
          analytics(userId: "bela") { metrics { totalRequests } }
          own: analytics { distribution { value } profitability { feature }
            metrics { totalRequests providerCostUsd marginCredits } } }""",
        headers=ada,
    )

    assert mine["caller"] == {"userId": "ada", "roles": ["user"]}
    assert (mine["wallet"]["ownerId"], mine["wallet"]["credits"]) == ("ada", "19.000001")
    assert [each["usageKey"] for each in mine["usage"]["items"]] == ["k1"]
    assert mine["analytics"]["metrics"] == {"totalRequests": 1}
    assert mine["analytics"]["topUsers"] == [{"userId": "ada"}]
    assert codes(others) == {
        "wallet": "not_found",
        "wallets": "scope_missing",
        "usage": "forbidden",
        "story": "unknown_usage_key",
        "unknown": "unknown_usage_key",
        "analytics": "forbidden",
        "own.distribution": "scope_missing",
        "own.profitability": "scope_missing",
        "own.metrics.providerCostUsd": "scope_missing",
        "own.metrics.marginCredits": "scope_missing",
    }
    assert others.data["own"]["metrics"] == {"totalRequests": 1, "providerCostUsd": None, "marginCredits": None}
    assert "bela" not in json.dumps(others.data)


async def test_the_use_of_a_transaction_is_shown_to_its_user_only(gateway: Gateway) -> None:
    """`GET /api/usage/{usage_key}` is the same over HTTP: one's own use without the seller's costs, and no other."""
    await use(gateway, "ada", "k1")
    own = await gateway.call("GET", "/api/usage/k1", headers=bearer("ada", role="user"))
    other = await gateway.call("GET", "/api/usage/k1", headers=bearer("bela", role="user"))
    unknown = await gateway.call("GET", "/api/usage/k9", headers=bearer("bela", role="user"))
    analyst = await gateway.call("GET", "/api/usage/k1", headers=bearer("cleo", role="analyst"))

    assert (own.status, own.data["credits_charged"], own.data["lines"]) == (200, 1, [])
    assert (other.status, other.error["code"]) == (unknown.status, unknown.error["code"]) == (404, "unknown_usage_key")
    assert analyst.data == own.data


@pytest.mark.parametrize("headers", [{}, {"x-server-api-key": "fg_live_no"}, {"authorization": "Bearer x"}])
async def test_without_a_credential_nothing_is_told_not_even_the_schema(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    for query in ("{ __schema { types { name } } }", "{ caller { userId } }", "{ no }", "{"):
        answer = await ask(gateway, query, headers={"x-server-api-key": "", **headers})
        assert (answer.status, codes(answer)) == (401, {"": "unauthenticated"})
        assert "www-authenticate" in answer.headers
        assert "data" not in answer.body


async def test_what_staff_read_of_others_is_in_the_audit_log_under_the_names_of_the_http_calls(
    gateway: Gateway,
) -> None:
    await use(gateway, "ada", "k1")
    query = """{ wallet(ownerId: "ada") { credits transactions { items { story { status } } } } usage { items { id } }
      analytics { topUsers { userId } metrics { totalRequests } } }"""
    await data(gateway, query)
    of_servers = (await gateway.get("/api/audit?action=wallets.*")).data
    await data(gateway, query, headers=bearer("root", role="admin"))
    found = (await gateway.get("/api/audit?actor_user_id=root")).data
    refused = await ask(gateway, '{ wallet(ownerId: "ada") { credits } }', headers=bearer("bela", role="user"))

    assert [each["action"] for each in of_servers if each["action"].startswith("wallets.get")] == []
    assert {(each["action"], each["owner_id"]) for each in found} == {
        ("wallets.get_wallet", "ada"),
        ("wallets.list_transactions", "ada"),
        ("usage.get_use", "ada"),
        ("usage.list_usages", None),
        ("analytics.top_users", None),
    }
    assert {json.dumps(each["target"]) for each in found} == {'{"through": "graphql"}'}
    assert codes(refused) == {"wallet": "not_found"}
    assert (await gateway.get("/api/audit?actor_user_id=bela")).data == []


REFUSED: dict[str, tuple[object, int, str]] = {
    "a batch": ([{"query": "{ caller { userId } }"}], 422, "batches are refused"),
    "no query": ({}, 422, "query is missing"),
    "a number": ({"query": 5}, 422, "query"),
    "variables as a list": ({"query": "{ caller { userId } }", "variables": []}, 422, "variables"),
    "a text": ("{ caller }", 422, "body"),
    "not JSON": (b"{", 400, "not JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_is_none_is_refused_in_the_form_of_graphql(gateway: Gateway, name: str) -> None:
    body, status, reason = REFUSED[name]
    answer = await gateway.call("POST", "/graphql", body, headers=NEWER)

    assert answer.status in {status, 400}
    assert reason in answer.body["errors"][0]["message"]
    assert answer.body["errors"][0]["extensions"]["request_id"]
    assert answer.headers["content-type"] == GRAPHQL_JSON


WRONG = {
    "{": "malformed",
    "{ no }": "invalid",
    "{ caller { userId } } { caller { userId } }": "invalid",
    "mutation { x }": "invalid",
    "query ($n: Int!) { usage(limit: $n) { nextCursor } }": "invalid",
    "{ usage(limit: 1000) { items { wallet { transactions(limit: 1000) { items { amount } } } } } }": "invalid",
}


@pytest.mark.parametrize("query", WRONG)
async def test_a_wrong_query_is_told_by_the_status_to_clients_of_the_newer_media_type(
    gateway: Gateway, query: str
) -> None:
    """To clients of plain JSON it is told by `errors` alone, with status 200, as GraphQL over HTTP says."""
    newer, older = await ask(gateway, query, headers=NEWER), await ask(gateway, query)

    assert (newer.status, older.status) == (400, 200)
    assert set(codes(newer).values()) == set(codes(older).values()) == {WRONG[query]}
    assert "data" not in newer.body
    assert newer.headers["cache-control"] == "no-store"


async def test_values_of_arguments_are_checked_as_over_http(gateway: Gateway) -> None:
    answer = await ask(
        gateway,
        """{ a: usage(limit: 0) { nextCursor } b: usage(country: "Germany") { nextCursor } c: usage(limit: 1001) { nextCursor }
          d: analytics(timezone: "Mars/Base") { start } e: analytics(startDate: "2026-13-01") { start }
          f: wallet(ownerId: "nobody") { credits } g: analytics { topUsers(limit: 101) { userId } } h: wallet { credits } }""",
    )
    assert codes(answer) == {
        **dict.fromkeys(("a", "b", "c", "d", "e", "g.topUsers", "h"), "invalid"),
        "f": "unknown_wallet",
    }
    assert {each["extensions"]["param"] for each in answer.body["errors"] if "param" in each["extensions"]} == {
        *("limit", "country", "timezone", "startDate", "ownerId")
    }


async def test_a_moment_without_an_offset_and_a_number_for_a_text_are_refused(gateway: Gateway) -> None:
    for value in ('"2026-01-31T12:00:00"', '"yesterday"', "5"):
        answer = await ask(gateway, f"{{ usage(from: {value}) {{ nextCursor }} }}", headers=NEWER)
        assert (answer.status, set(codes(answer).values())) == (400, {"invalid"}), value
    right = await data(gateway, '{ usage(from: "2026-01-31T12:00:00+01:00") { nextCursor } }')
    assert right == {"usage": {"nextCursor": None}}


async def test_a_query_counts_as_the_calls_that_it_stands_for(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET, rate_limit_user=10)) as gateway:
        ada = bearer("ada", role="user")
        six = "{ " + " ".join(f"a{n}: usage {{ nextCursor }}" for n in range(6)) + " }"
        first = await ask(gateway, six, headers=ada)
        second = await ask(gateway, six, headers=ada)
        third = await ask(gateway, "{ caller { userId } }", headers=ada)

    assert (first.status, first.body["extensions"]["cost"]) == (200, {"points": 36, "limit": 5000, "calls": 6})
    assert (second.status, codes(second)) == (429, {"": "rate_limited"})
    assert int(second.headers["retry-after"]) >= 1
    assert third.status == 200, "the calls of a refused query are not counted, only the request"


async def test_the_limits_on_cost_and_time_are_settings(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, graphql_cost_limit=30)) as gateway:
        dear = await ask(gateway, "{ usage(limit: 40) { items { id } } }", headers=NEWER)
        cheap = await ask(gateway, "{ usage(limit: 20) { items { id } } }", headers=NEWER)
    async with open_gateway(settings_for(database_url, graphql_timeout_seconds=0.000001)) as gateway:
        late = await ask(gateway, "{ usage { items { id } } }")

    assert (dear.status, dear.body["errors"][0]["extensions"]["cost"], cheap.status) == (400, 46, 200)
    assert (late.status, codes(late)) == (503, {"": "unavailable"})
    assert "did not finish within" in late.body["errors"][0]["message"]


async def test_an_answer_that_archived_facts_are_missing_from_says_so(gateway: Gateway, mocker: MockerFixture) -> None:
    questions = gateway.container.questions()
    answered = questions.metrics

    async def metrics(question: Question, *, exact: bool = False) -> UsageMetrics:
        question.omissions.add([Month(2025, 3)])
        return await answered(question, exact=exact)

    mocker.patch.object(questions, "metrics", side_effect=metrics)
    answer = await ask(gateway, "{ analytics { metrics(exact: true) { totalRequests } } }")
    refused = await ask(gateway, "{ analytics(complete: true) { metrics(exact: true) { totalRequests } } }")

    assert answer.body["extensions"]["archived"] == [
        {
            "archivedBefore": "2025-04-01T00:00:00Z",
            "note": "single facts before 2025-04-01 are archived and not in this answer",
        }
    ]
    assert codes(refused) == {"analytics.metrics": "invalid"}


async def test_a_defect_is_logged_and_tells_nothing(gateway: Gateway, mocker: MockerFixture) -> None:
    mocker.patch.object(
        gateway.container.usage_service(), "usages", side_effect=RuntimeError("the password is hunter2")
    )
    answer = await ask(gateway, "{ usage { nextCursor } caller { userId } }")

    assert codes(answer) == {"usage": "internal"}
    assert "hunter2" not in json.dumps(answer.body)
    assert answer.data == {"usage": None, "caller": {"userId": None}}


def named(query: str, /, **more: object) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(query.encode()).hexdigest()}}, **more}


async def test_a_persisted_query_is_learned_once_and_then_named_by_its_hash(gateway: Gateway) -> None:
    query = "query Who { caller { userId } }"
    headers = bearer("ada", role="user")
    address = "/graphql?" + urlencode({"extensions": json.dumps(named(query)["extensions"]), "operationName": "Who"})
    unknown = await gateway.call("POST", "/graphql", named(query), headers=headers)
    unknown_too = await gateway.call("GET", address, headers={**headers, **NEWER})
    told = await gateway.call("POST", "/graphql", named(query, query=query), headers=headers)
    by_hash = await gateway.call("POST", "/graphql", named(query), headers=headers)
    by_get = await gateway.call("GET", address, headers=headers)
    other = await gateway.call("POST", "/graphql", named(query, query="{ caller { scopes } }"), headers=headers)

    assert unknown.body["errors"][0]["message"] == "PersistedQueryNotFound"
    assert (unknown.status, codes(unknown), unknown_too.status) == (200, {"": "not_found"}, 404)
    assert told.data == by_hash.data == by_get.data == {"caller": {"userId": "ada"}}
    assert (codes(other), "sha256Hash" in other.body["errors"][0]["message"]) == ({"": "invalid"}, True)


async def test_get_is_for_persisted_queries_only(gateway: Gateway) -> None:
    text = urlencode({"query": "{ caller { userId } }", "extensions": "{}"})
    for asked in (text, urlencode({"extensions": "{}"}), urlencode({"extensions": "{"}), "", "no=1"):
        answer = await gateway.call("GET", f"/graphql?{asked}", headers=NEWER)
        assert answer.status in {400, 422}, asked
        assert answer.body["errors"][0]["extensions"]["code"] in {"invalid", "malformed"}
    with_text = await gateway.call("GET", f"/graphql?{text}", headers=NEWER)
    assert "GET is for persisted queries only" in with_text.body["errors"][0]["message"]


async def test_a_wrong_query_is_not_learned(gateway: Gateway) -> None:
    query = "{ no }"
    await gateway.call("POST", "/graphql", named(query, query=query))
    again = await gateway.call("POST", "/graphql", named(query))
    assert again.body["errors"][0]["message"] == "PersistedQueryNotFound"


MANIFEST = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": "x", "body": "{ caller { userId } }"}],
}


@pytest.mark.parametrize("content", [["{ caller { userId } }"], {"any name": "{ caller { userId } }"}, MANIFEST])
async def test_a_deployment_may_run_registered_queries_only(database_url: str, tmp_path: Path, content: object) -> None:
    file = tmp_path / "queries.json"
    file.write_text(json.dumps(content))
    chosen = settings_for(database_url, graphql_queries=file, graphql_registered_only=True)
    async with open_gateway(chosen) as gateway:
        registered = "{ caller { userId } }"
        answers = [
            await ask(gateway, registered),
            await gateway.call("POST", "/graphql", named(registered)),
            await ask(gateway, "{ caller { scopes } }"),
            await gateway.call("POST", "/graphql", named("{ caller { scopes } }", query="{ caller { scopes } }")),
        ]

    assert [(answer.status, list(codes(answer).values())) for answer in answers] == [
        (200, []),
        (200, []),
        (403, ["forbidden"]),
        (403, ["forbidden"]),
    ]


@pytest.mark.parametrize("content", ["", "{", "5", "[]", "[5]", '{"format": "apollo-persisted-query-manifest"}'])
def test_a_wrong_file_of_queries_stops_the_start_and_names_the_setting(tmp_path: Path, content: str) -> None:
    file = tmp_path / "queries.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="FAREGATE_GRAPHQL_QUERIES"):
        registered_queries(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        registered_queries(tmp_path / "missing.json")


def test_learned_queries_take_a_bounded_memory() -> None:
    documents = Documents({})
    for number in range(20_000):
        text = f"query q{number} {{ caller {{ userId }} }}" + "#" * 1_000
        documents.learn(text, sha256(text.encode()).hexdigest())
    kept = documents._learned  # pyright: ignore[reportPrivateUsage]

    assert len(kept) <= 2_000
    assert kept.size_bytes <= 4 * 1024 * 1024


async def test_without_the_extra_the_answer_names_it(gateway: Gateway, mocker: MockerFixture) -> None:
    mocker.patch("faregate.gateway.container.find_spec", return_value=None)
    answer = await ask(gateway, "{ caller { userId } }")

    assert (answer.status, codes(answer)) == (500, {"": "configuration"})
    assert 'pip install "faregate[graphql]"' in answer.body["errors"][0]["message"]


def test_the_schema_in_the_repository_is_the_one_that_is_served() -> None:
    assert (ROOT / "docs/reference/schema.graphql").read_text() == schema_text(), "run `make docs`"


def test_every_code_of_an_answer_is_of_the_closed_list() -> None:
    for method in (GraphqlController.post, GraphqlController.get):
        assert {error.code for error in declared(method).errors} <= STATUS.keys()


async def test_the_explorer_asks_no_other_server_and_allows_neither_inline_scripts_nor_evaluation(
    gateway: Gateway,
) -> None:
    page = await gateway.http.get("/graphql/explorer")
    names = [*re.findall(r'(?:src|href)="([^"]+)"', page.text)]
    files = [await gateway.http.get(name) for name in names if name.startswith("/graphql/")]
    policy = page.headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert [file.status_code for file in files] == [200] * len(files)
    assert all(name.startswith(("/", "#")) for name in names)
    assert re.findall("https?://", page.text) == []
    assert (await gateway.http.get("/graphql/explorer/no.js")).status_code == 404


async def _answers_well(gateway: Gateway, query: str) -> None:
    """Ask a random query: it is answered, or refused by the query's limits; nothing else goes wrong."""
    answer = await ask(gateway, query, headers=NEWER)
    assert answer.status in {200, 400}, answer.body
    assert {"internal", "unavailable"}.isdisjoint(codes(answer).values()), (query, answer.body)


async def _ask_at_random(gateway: Gateway, count: int) -> None:
    await use(gateway, "ada", "k1", "k2")
    exact = st.decimals(allow_nan=False, allow_infinity=False).map(str).map(nodes.String)
    moments = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat).map(nodes.String)
    scalars = {"Decimal": exact, "DateTime": moments, "Long": st.integers().map(nodes.Int), "JSON": st.just(nodes.Null)}
    asked = queries(schema_text(), custom_scalars=scalars, allow_x00=False, codec="utf-8")

    @settings(max_examples=count, deadline=None, database=None)
    @given(asked)
    def collect(query: str) -> None:
        texts.append(query)

    texts: list[str] = []
    collect()
    for text in texts:
        await _answers_well(gateway, text)


async def test_random_queries_are_answered_or_refused_and_find_no_defect(gateway: Gateway) -> None:
    await _ask_at_random(gateway, 30)


async def test_many_random_queries_find_no_defect(gateway: Gateway) -> None:
    await _ask_at_random(gateway, 1_500)
