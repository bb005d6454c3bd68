"""LiteLLM, SDK and proxy: each call is held before it runs and settled once."""

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from integrations.provider import Runs, serving_tools

from support.apps import KEY, Gateway, open_gateway, settings_for
from support.docs import Page
from support.litellm import MASTER_KEY, Forks, Proxy
from support.servers import address, execute
from support.serving import serving

PROGRAM = Path(__file__).parent / "programs/litellm_sdk.py"
CLAUDE = Decimal("0.5076")
"""1000 input tokens, 100 of them from the cache, and 100 output tokens of claude-sonnet-4-6."""
PAGE = Page.of("docs/howto/charge-litellm.md")
HELLO = [{"role": "user", "content": "Hello"}]

CONFIG = """
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_base: "PROVIDER/v1", api_key: sk-test}}
  - {model_name: broken, litellm_params: {model: openai/broken, api_base: "PROVIDER/v1", api_key: sk-test}}
  - {model_name: fallen, litellm_params: {model: openai/broken, api_base: "PROVIDER/v1", api_key: sk-test}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-6, api_base: "PROVIDER", api_key: k}}
  - {model_name: endless, litellm_params: {model: openai/endless, api_base: "PROVIDER/v1", api_key: sk-test}}
  - {model_name: counted, litellm_params: {model: openai/counted, api_base: "RUNS/v1", api_key: sk-test}}
mcp_servers:
  math: {url: "TOOLS/mcp", transport: http}
litellm_settings:
  callbacks: fare.logger
  num_retries: 0
  fallbacks: [{fallen: [gpt-4o]}]
general_settings:
  master_key: MASTER
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """LiteLLM, imported once for this module."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture(scope="module")
async def sdk(forks: Forks, provider: str, silent: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the calls of the program left behind."""
    printed = await forks.run(str(PROGRAM), cwd=tmp_path_factory.mktemp("sdk"), PROVIDER=provider, SILENT=silent)
    assert printed.endswith("}\n"), printed
    left: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return left


def test_a_call_of_the_sdk_is_charged_and_carries_its_receipt(sdk: dict[str, Any]) -> None:
    assert sdk["whole"]["use"] == ["ada", "settled", "0.42"]
    assert sdk["whole"]["receipt"].items() >= {"credits_charged": "0.42", "credits_left": "999.58"}.items()


def test_a_call_of_anthropic_is_charged_with_its_cached_tokens(sdk: dict[str, Any]) -> None:
    assert sdk["anthropic"][:2] == ["bela", "settled"]
    assert Decimal(sdk["anthropic"][2]) > 0


def test_a_stream_is_charged_at_its_end(sdk: dict[str, Any]) -> None:
    assert sdk["stream"] == ["ada", "settled", "0.42"]


def test_a_stream_that_the_host_leaves_is_charged_by_the_estimate(sdk: dict[str, Any]) -> None:
    assert sdk["left_stream"] == ["ada", "settled", "0.42"]


def test_a_call_that_fails_is_voided(sdk: dict[str, Any]) -> None:
    assert sdk["failure"]["use"] == ["ada", "voided", "0"]


def test_retries_run_within_one_hold(sdk: dict[str, Any]) -> None:
    assert (sdk["retries"], sdk["retries_for_all_calls"]) == (["voided"], ["voided"])


def test_a_refused_call_is_not_retried_without_a_hold(sdk: dict[str, Any]) -> None:
    assert sdk["refused_with_retries"] == ["InsufficientCreditsError"] * 3


def test_a_call_that_is_cancelled_is_charged_by_its_request(sdk: dict[str, Any]) -> None:
    user, state, charged = sdk["cancelled"]

    assert (user, state) == ("ada", "settled")
    assert 0 < Decimal(charged) < Decimal("0.01")


def test_a_call_without_credits_is_refused_before_the_provider(sdk: dict[str, Any]) -> None:
    assert sdk["refused"].startswith("InsufficientCreditsError: Insufficient credits: 0 free")


def test_a_caller_is_not_told_where_a_database_that_is_away_is(sdk: dict[str, Any]) -> None:
    assert sdk["away"] == {"error": "try again", "code": "unavailable"}


def test_a_call_without_a_user_is_refused(sdk: dict[str, Any]) -> None:
    assert sdk["nobody"].startswith("InvalidError: who pays for chat?")


def test_within_a_block_the_block_charges(sdk: dict[str, Any]) -> None:
    assert sdk["in_a_block"] == [["cleo", "settled"]]


def test_a_call_whose_reply_reports_no_usage_can_be_refused(sdk: dict[str, Any]) -> None:
    assert sdk["unmetered"].startswith("InvalidError: acreate_batch may cost money")


def test_sync_credits_charge_async_calls_too_and_sync_calls_afterwards(sdk: dict[str, Any]) -> None:
    assert sdk["sync_calls"] == {"model": "gpt-4o", "uses": [["ada", "settled", "0.42"]] * 2, "left": "9.16"}


def test_a_call_can_be_quoted(sdk: dict[str, Any]) -> None:
    assert sdk["quoted"] == ["0.42", True]


@pytest.fixture(scope="module")
async def gateway(server_url: str, template: str) -> AsyncIterator[Gateway]:
    """A gateway for all proxies: a chat by tokens, and a tool for 3 credits."""
    name = f"litellm_{os.getpid()}"
    await execute(server_url, f"create database {name} template {template} strategy file_copy")
    async with open_gateway(settings_for(address(server_url, name))) as gateway:
        await gateway.feature("chat", min_credits=1)
        await gateway.feature("tool", strategy="fixed", parameters={"credits": 3})
        yield gateway
    await execute(server_url, f"drop database {name} with (force)")


@pytest.fixture(scope="module")
async def gateway_url(gateway: Gateway) -> AsyncIterator[str]:
    async with serving(uvicorn.Config(gateway.app, port=0, log_level="critical", lifespan="off", ws="none")) as url:
        yield url


@pytest.fixture(scope="module")
async def proxies(
    forks: Forks, gateway_url: str, provider: str, runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Proxy]]:
    """Two proxies in front of one gateway."""
    directory = tmp_path_factory.mktemp("proxy")
    async with AsyncExitStack() as stack:
        tools = await stack.enter_async_context(serving_tools())
        places = {"PROVIDER": provider, "RUNS": runs.url, "TOOLS": tools, "MASTER": MASTER_KEY}
        config = CONFIG
        for name, value in places.items():
            config = config.replace(name, value)
        (directory / "config.yaml").write_text(config)
        PAGE.block("python", title="fare.py").save(directory)
        made = [Proxy(forks, directory, {"FAREGATE_URL": gateway_url, "FAREGATE_KEY": KEY}) for _ in range(2)]
        try:
            await asyncio.gather(*(proxy.start() for proxy in made))
            yield made
        finally:
            for proxy in made:
                proxy.kill()


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=300)
    async with httpx2.AsyncClient(limits=limits) as http:
        yield http


async def _free(gateway: Gateway, user: str) -> Decimal:
    return Decimal((await gateway.get(f"/api/wallets/{user}")).data["credits"])


async def _held(gateway: Gateway, user: str) -> Decimal:
    return Decimal((await gateway.get(f"/api/wallets/{user}")).data["held"])


async def _nothing_held(gateway: Gateway, user: str) -> None:
    while await _held(gateway, user):
        await asyncio.sleep(0.02)


async def test_the_page_about_litellm_prints_what_it_says(
    forks: Forks, gateway: Gateway, gateway_url: str, provider: str, tmp_path: Path
) -> None:
    program = PAGE.block("python", title="sdk.py").save(tmp_path)
    await gateway.grant("ada", 10)
    openai = {"OPENAI_BASE_URL": f"{provider}/v1", "OPENAI_API_KEY": "sk-test"}
    printed = await forks.run(str(program), cwd=tmp_path, FAREGATE_URL=gateway_url, FAREGATE_KEY=KEY, **openai)

    assert printed == PAGE.block("text").text


async def test_the_proxy_answers_with_what_was_charged_and_is_left(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("hugo", 10)
    answer = await proxies[0].ask(http, "/v1/chat/completions", {"model": "gpt-4o", "user": "hugo", "messages": HELLO})

    assert answer.status_code == 200
    assert answer.headers["x-faregate-credits-charged"] == "0.42"
    assert answer.headers["x-faregate-credits-left"] == "9.58"
    assert await _free(gateway, "hugo") == Decimal("9.58")


async def test_the_proxy_settles_a_stream_at_its_end(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("bela", 10)
    body = {"model": "gpt-4o", "user": "bela", "messages": HELLO, "stream": True}
    answer = await proxies[0].ask(http, "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}})
    await _nothing_held(gateway, "bela")

    assert answer.headers["x-faregate-usage-key"]
    assert await _free(gateway, "bela") == Decimal("9.58")


async def test_the_proxy_charges_what_a_caller_read_who_hangs_up(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("cleo", 10)
    body = {"model": "endless", "user": "cleo", "messages": HELLO, "stream": True}
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    async with http.stream("POST", f"{proxies[0].url}/v1/chat/completions", json=body, headers=headers) as answer:
        async for _line in answer.aiter_lines():
            break
    await _nothing_held(gateway, "cleo")

    assert 0 < await _free(gateway, "cleo") <= 10


async def test_the_proxy_voids_what_failed_and_refuses_what_is_not_covered(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("dora", 1)
    ask = {"user": "dora", "messages": HELLO}
    failed = await proxies[0].ask(http, "/v1/chat/completions", {**ask, "model": "broken"})
    assert (failed.status_code, await _free(gateway, "dora")) == (400, 1)

    await proxies[0].ask(http, "/v1/chat/completions", {**ask, "model": "gpt-4o"})
    refused = await proxies[0].ask(http, "/v1/chat/completions", {**ask, "model": "gpt-4o"})

    assert refused.status_code == 402
    assert refused.json()["error"]["provider_specific_fields"]["code"] == "insufficient_credits"
    assert await _free(gateway, "dora") == Decimal("0.58")


async def test_a_fallback_happens_within_the_hold_of_its_request(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("ivan", 1)
    answer = await proxies[0].ask(http, "/v1/chat/completions", {"model": "fallen", "user": "ivan", "messages": HELLO})

    assert (answer.status_code, answer.headers["x-faregate-credits-charged"]) == (200, "0.42")
    assert await _free(gateway, "ivan") == Decimal("0.58")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_proxy_charges_messages_of_anthropic(
    stream: bool, proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    user = f"jana-{stream}"
    await gateway.grant(user, 10)
    body = {"model": "claude", "max_tokens": 50, "messages": HELLO, "stream": stream}
    answer = await proxies[0].ask(http, "/v1/messages", {**body, "metadata": {"user_id": user}})
    await _nothing_held(gateway, user)

    assert answer.status_code == 200, answer.text
    assert await _free(gateway, user) == 10 - CLAUDE


async def test_the_proxy_charges_responses_of_openai(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("kira", 10)
    answer = await proxies[0].ask(http, "/v1/responses", {"model": "gpt-4o", "input": "Hello", "user": "kira"})
    await _nothing_held(gateway, "kira")

    assert (answer.status_code, answer.headers["x-faregate-credits-charged"]) == (200, "0.42"), answer.text
    assert await _free(gateway, "kira") == Decimal("9.58")


async def test_a_second_call_with_the_id_of_a_running_one_is_refused(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient, runs: Runs
) -> None:
    await gateway.grant("emil", 10)
    body = {"model": "counted", "user": "emil", "messages": [{"role": "user", "content": "twins"}]}
    twin = {"x-litellm-call-id": "twin"}
    async with runs.paused():
        first = asyncio.create_task(proxies[0].ask(http, "/v1/chat/completions", body, headers=twin))
        await runs.reached("twins")
        second = await proxies[0].ask(http, "/v1/chat/completions", body, headers=twin)

    assert (second.status_code, (await first).status_code) == (409, 200)


async def test_a_tool_call_is_charged_and_a_failed_one_is_voided(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    await gateway.grant("fred", 10)
    headers = {"x-litellm-end-user-id": "fred"}
    call = {"server_id": "math", "arguments": {}}
    done = await proxies[0].ask(http, "/mcp-rest/tools/call", {**call, "name": "seven"}, headers=headers)
    await _nothing_held(gateway, "fred")
    assert (done.json()["structuredContent"], await _free(gateway, "fred")) == ({"result": 7}, 7)

    failed = await proxies[0].ask(http, "/mcp-rest/tools/call", {**call, "name": "fails"}, headers=headers)
    await _nothing_held(gateway, "fred")
    assert (failed.json()["isError"], await _free(gateway, "fred")) == (True, 7)


async def test_of_200_calls_as_many_run_as_are_paid_though_the_proxy_is_killed_twice(
    proxies: list[Proxy], gateway: Gateway, http: httpx2.AsyncClient, runs: Runs
) -> None:
    """A caller whose connection breaks, or who is told that credits cannot be checked now (503), calls again with the same id."""
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 1})
    await gateway.grant("gita", 7)
    living = [proxies[0]]

    async def call(number: int) -> int:
        body = {"model": "counted", "user": "gita", "messages": [{"role": "user", "content": f"gita {number}"}]}
        headers = {"x-litellm-call-id": f"gita-{number}"}
        while True:
            with contextlib.suppress(httpx2.TransportError):
                answer = await living[0].ask(http, "/v1/chat/completions", body, headers=headers)
                if answer.status_code != 503:
                    return answer.status_code
            await asyncio.sleep(0.02)

    async with runs.paused():
        calls = [asyncio.create_task(call(number)) for number in range(200)]
        for victim, heir in (proxies, reversed(proxies)):
            await runs.reached("gita", times=runs.count("gita") + 3)
            victim.kill()
            if not heir.lives:
                await heir.start()
            living[0] = heir
        await runs.reached("gita", different=7)
    statuses = await asyncio.gather(*calls)
    await _nothing_held(gateway, "gita")

    assert runs.different("gita") == 7
    assert Counter(statuses) == {200: 7, 402: 193}
    assert await _free(gateway, "gita") == 0
