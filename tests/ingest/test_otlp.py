"""OTLP over HTTP: model calls of every convention, each counted once, answered by the protocol."""

import asyncio
import gzip
import sys
from decimal import Decimal
from typing import Any

import pytest
import uvicorn
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from faregate.wire import exact_json
from support.apps import KEY, Answer, Gateway
from support.otlp import as_otlp_json, log_export, metric_export, span, span_export
from support.serving import serving

PROTOBUF = "application/x-protobuf"
NEW: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 14,
    "gen_ai.usage.output_tokens": 10,
    "user.id": "ada",
}
FORMS: dict[str, dict[str, Any]] = {
    "gen_ai": NEW,
    "old gen_ai": {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 14,
        "gen_ai.usage.completion_tokens": 10,
        "enduser.id": "ada",
    },
    "OpenLLMetry": {
        "gen_ai.system": "OpenAI",
        "llm.request.type": "chat",
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 14,
        "gen_ai.usage.completion_tokens": 10,
        "llm.usage.total_tokens": 24,
        "traceloop.association.properties.user_id": "ada",
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 14,
        "llm.token_count.completion": 10,
        "llm.token_count.total": 24,
        "user.id": "ada",
    },
    "Copilot CLI": {**NEW, "github.copilot.nano_aiu": 1_500_000},
}
COST = Decimal("0.0000081")


async def send(gateway: Gateway, message: Any, signal: str = "traces", *, kind: str = PROTOBUF, **more: str) -> Answer:
    """Send an export; the answer is parsed only if it is JSON."""
    body = exact_json.dumps(as_otlp_json(message)) if kind != PROTOBUF else message.SerializeToString()
    if more.get("content-encoding") == "gzip":
        body = gzip.compress(body)
    headers = {"x-server-api-key": "", "authorization": f"Bearer {KEY}", "content-type": kind, **more}
    return await gateway.call("POST", f"/v1/{signal}", body, headers=headers, raw=kind == PROTOBUF)


async def used(gateway: Gateway) -> tuple[int, int, Decimal]:
    """Return requests, tokens and cost of everybody."""
    await gateway.container.roller().run()
    found = (await gateway.get("/api/analytics/metrics")).data
    return found["totalRequests"], found["totalTokens"], found["providerCostUsd"]


async def test_every_convention_counts_as_the_same_call(gateway: Gateway) -> None:
    spans = [span(number, attributes) for number, attributes in enumerate(FORMS.values(), 1)]

    assert (await send(gateway, span_export(spans))).status == 200

    assert await used(gateway) == (len(FORMS), 24 * len(FORMS), COST * len(FORMS))


async def test_a_span_counts_once_in_any_encoding_and_however_often_it_is_sent(gateway: Gateway) -> None:
    export = span_export([span(1, NEW)])

    answers = [
        await send(gateway, export),
        await send(gateway, export, **{"content-encoding": "gzip"}),
        await send(gateway, export, kind="application/json"),
        await send(gateway, export, kind="application/json", **{"content-encoding": "gzip"}),
        await send(gateway, span_export([span(1, NEW), span(1, NEW)])),
    ]

    assert [answer.status for answer in answers] == [200] * 5
    assert answers[2].body == {}
    assert await used(gateway) == (1, 24, COST)


async def test_spans_of_agents_tools_and_chains_do_not_count_beside_their_calls(gateway: Gateway) -> None:
    agent = {**NEW, "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 28}
    groups: list[dict[str, Any]] = [
        agent,
        {**FORMS["OpenLLMetry"], "traceloop.span.kind": "workflow"},
        {**FORMS["OpenInference"], "openinference.span.kind": "CHAIN"},
    ]
    spans = [span(number, group) for number, group in enumerate(groups, 1)]
    spans += [span(number + 10, NEW, parent=number) for number in (1, 1, 2, 3)]
    spans[4]["number"] = 15

    assert (await send(gateway, span_export(spans))).status == 200

    assert await used(gateway) == (4, 96, COST * 4)


@pytest.mark.parametrize("together", [True, False])
async def test_two_instrumentations_of_one_call_count_once(gateway: Gateway, together: bool) -> None:
    """The outer span ends last, so that it is exported with the inner one, or after it."""
    inner, middle = span(3, NEW, parent=2), span(2, {"http.method": "POST"}, parent=1)
    outer = span(1, FORMS["OpenLLMetry"])
    exports = [[inner, middle, outer]] if together else [[inner, middle], [outer], [inner, middle], [outer]]

    for export in exports:
        assert (await send(gateway, span_export(export))).status == 200

    assert await used(gateway) == (1, 24, COST)


async def test_a_call_that_runs_in_a_tool_of_another_call_counts_beside_it(gateway: Gateway) -> None:
    tool = {"gen_ai.operation.name": "execute_tool"}

    await send(gateway, span_export([span(1, NEW), span(2, tool, parent=1), span(3, NEW, parent=2)]))

    assert await used(gateway) == (2, 48, COST * 2)


async def test_spans_without_usage_are_accepted_and_count_as_nothing(gateway: Gateway) -> None:
    spans = [span(1, {"http.method": "GET"}), span(2, {**NEW, "faregate.usage_key": "chat-1"})]

    assert (await send(gateway, span_export(spans))).status == 200

    assert await used(gateway) == (0, 0, 0)


async def test_rejected_spans_are_a_partial_success_and_nothing_but_rejected_ones_is_400(gateway: Gateway) -> None:
    nobody = {name: value for name, value in NEW.items() if name != "user.id"}

    partly = await gateway.http.post(
        "/v1/traces",
        content=span_export([span(1, NEW), span(2, nobody)]).SerializeToString(),
        headers={"x-server-api-key": KEY, "content-type": PROTOBUF},
    )
    as_json = await send(gateway, span_export([span(3, NEW), span(4, nobody)]), kind="application/json")
    refused = await gateway.http.post(
        "/v1/traces",
        content=span_export([span(5, nobody)]).SerializeToString(),
        headers={"x-server-api-key": KEY, "content-type": PROTOBUF},
    )

    told = ExportTraceServiceResponse.FromString(partly.content).partial_success
    assert (partly.status_code, told.rejected_spans) == (200, 1)
    assert told.error_message.startswith("user_id is missing: the rule 'span_of_a_model' looks at")
    assert (as_json.status, as_json.body["partialSuccess"]["rejectedSpans"]) == (200, "1")
    assert (refused.status_code, refused.headers["content-type"]) == (400, PROTOBUF)
    assert Status.FromString(refused.content).message == told.error_message
    assert Status.FromString(refused.content).code == 3


async def test_a_rule_takes_the_user_from_a_session_or_a_resource_and_charges(gateway: Gateway) -> None:
    await gateway.grant("s-1", 100)
    await gateway.grant("team", 100)
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 3})
    rule = {"forms": ["span"], "where": {"attributes.gen_ai.operation.name": "chat"}, "action": "charge"}
    users = ["attributes.session.id", "resource.team.name"]
    await gateway.put("/api/ingest-rules/chat", {**rule, "feature_key": "chat", "fields": {"user_id": users}})
    export = span_export([span(1, {**NEW, "session.id": "s-1"}), span(2, NEW)], {"team.name": "team"})

    for _ in range(3):
        assert (await send(gateway, export)).status == 200

    balances = [(await gateway.get(f"/api/wallets/{user}")).data["balance"] for user in ("s-1", "team")]
    assert balances == [97, 97]
    assert (await used(gateway))[:2] == (2, 48)


async def test_requests_of_claude_code_and_codex_count_once_and_their_metrics_are_meters(gateway: Gateway) -> None:
    claude = {"model": "claude-sonnet-4-5", "input_tokens": "10", "output_tokens": 5, "cache_read_tokens": 100}
    codex = {"model": "gpt-5", "event.kind": "response.completed", "input_token_count": 110, "output_token_count": 5}
    records: list[tuple[str, dict[str, Any]]] = [
        ("claude_code.api_request", {**claude, "cache_creation_tokens": 0, "cost_usd": 0.01, "user.id": "ada"}),
        ("claude_code.user_prompt", {"user.id": "ada"}),
        ("codex.sse_event", {**codex, "cached_token_count": 100, "user.account_id": "ada"}),
        ("codex.api_request", {"model": "gpt-5", "user.account_id": "ada"}),
    ]
    logs = log_export(records)
    points = metric_export([("claude_code.token.usage", 115, {"user.id": "ada"}), ("http.requests", 5, {})])

    for _ in range(2):
        assert (await send(gateway, logs, "logs")).status == 200
        assert (await send(gateway, points, "metrics")).status == 200

    requests, tokens, cost = await used(gateway)
    meters = (await gateway.get("/api/analytics/meters")).data
    assert (requests, tokens) == (2, 230)
    assert cost > 0
    assert [(meter["meter"], meter["value"]) for meter in meters] == [("claude_code.token.usage", 115)]


async def test_a_cumulative_metric_is_refused_with_the_setting_that_helps(gateway: Gateway) -> None:
    points = metric_export([("claude_code.cost.usage", 1.5, {"user.id": "ada"})], temporality=2)

    refused = await send(gateway, points, "metrics", kind="application/json")

    assert refused.status == 400
    assert "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta" in refused.body["message"]


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, "", 400),
        (b"{", "application/json", "", 400),
        (b"[]", "application/json", "", 400),
        (b'{"resourceSpans": 5}', "application/json", "", 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', "application/json", "", 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "00"}]}]}]}', "application/json", "", 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}', "application/json", "", 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "application/json", "", 400),
        (b"\n" * 100, PROTOBUF, "gzip", 400),
        (gzip.compress(bytes(17 * 1024 * 1024)), PROTOBUF, "gzip", 413),
        (b"", PROTOBUF, "br", 415),
        (b"", "text/plain", "", 415),
        (b"", PROTOBUF, "", 200),
        (b"{}", "application/json", "", 200),
        (b'{"unknown": 1, "resourceSpans": [{}]}', "application/json", "", 200),
    ],
)
async def test_a_damaged_export_is_refused_for_good_and_an_empty_one_is_not(
    gateway: Gateway, body: bytes, kind: str, encoding: str, status: int
) -> None:
    headers = {"x-server-api-key": KEY, "content-type": kind}
    headers |= {"content-encoding": encoding} if encoding else {}
    answer = await gateway.http.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == status, answer.text


async def test_without_the_extra_the_answer_names_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)

    refused = await send(gateway, span_export([span(1, NEW)]), kind="application/json")

    assert (refused.status, refused.body["code"]) == (500, 13)
    assert 'pip install "faregate[otlp]"' in refused.body["message"]


async def test_odd_attributes_reject_their_span_and_no_other(gateway: Gateway) -> None:
    odd: list[dict[str, Any]] = [
        {**NEW, "user.id": "a b"},
        {**NEW, "user.id": "org:acme"},
        {**NEW, "gen_ai.request.model": "m" * 256},
        {**NEW, "gen_ai.usage.input_tokens": -1},
        {**NEW, "gen_ai.usage.input_tokens": 1.5},
        {**NEW, "gen_ai.usage.input_tokens": 10**12},
        {**NEW, "gen_ai.request.model": True},
    ]
    spans = [span(number, attributes) for number, attributes in enumerate([*odd, NEW], 1)]

    answer = await send(gateway, span_export(spans), kind="application/json")

    assert (answer.status, answer.body["partialSuccess"]["rejectedSpans"]) == (200, str(len(odd)))
    assert (await used(gateway))[:2] == (1, 24)


async def test_while_the_database_is_away_exporters_are_asked_to_repeat(gateway: Gateway) -> None:
    await send(gateway, span_export([]))
    await gateway.database.close()
    gateway.database._url = "postgresql://postgres@127.0.0.1:1/none"
    await gateway.database.open()

    answer = await send(gateway, span_export([span(1, NEW)]))

    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)


async def test_the_exporters_of_opentelemetry_are_served_as_they_are(gateway: Gateway) -> None:
    config = uvicorn.Config(gateway.app, port=0, log_config=None, lifespan="off")
    async with serving(config) as url:
        await asyncio.to_thread(_export_by_sdk, url)

    assert (await used(gateway))[:2] == (2, 39)


def _export_by_sdk(url: str) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    headers = {"authorization": f"Bearer {KEY}"}
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    for _ in range(2):  # as after an answer that was lost: each span is exported twice
        exporter = OTLPSpanExporter(f"{url}/v1/traces", headers=headers, compression=Compression.Gzip)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    with (
        tracer.start_as_current_span("invoke_agent", attributes={**NEW, "gen_ai.operation.name": "invoke_agent"}),
        tracer.start_as_current_span("chat", attributes=NEW),
    ):
        pass
    with tracer.start_as_current_span("embeddings", attributes={**NEW, "gen_ai.usage.input_tokens": 5}):
        pass
    provider.shutdown()
