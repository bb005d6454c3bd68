"""The blocks of the pages about other services and about the host's own transaction do what the pages say."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from client.provider import running_provider

from faregate.cli.demo.stack import Stack, private_stack
from faregate.wire import exact_json
from support.docs import Page
from support.servers import address, execute, require_program

SERVICE = Page.of("docs/howto/integrate-from-another-service.md")
TRANSACTION = Page.of("docs/howto/charge-inside-your-transaction.md")
_numbers = count(1)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """What the page expects to find: a gateway that sells a chat, and a user with credits."""
    async with private_stack(tmp_path_factory.mktemp("stack") / "data") as stack:
        headers = {"x-server-api-key": stack.key}
        async with httpx2.AsyncClient(base_url=stack.url, headers=headers) as http:
            feature = {"strategy": "token_priced", "min_credits": 2}
            (await http.put("/api/features/ai_chat_v1", json=feature)).raise_for_status()
            grant = {"credits": 100, "source": "purchase"}
            (await http.post("/api/wallets/ada/grants", json=grant)).raise_for_status()
        yield stack


def _printed(stack: Stack, title: str, **environment: Any) -> list[str]:
    return SERVICE.block("python", title=title).run(URL=stack.url, KEY=stack.key, **environment).splitlines()


async def test_a_use(stack: Stack) -> None:
    charged, refused = _printed(stack, "use.py")

    assert charged.startswith("charged 0.42, left ")
    assert refused.endswith(" of 1000000 credits")


async def test_what_a_use_costs_and_what_is_left(stack: Stack) -> None:
    quote, balance, events, rejected = _printed(stack, "before.py")

    assert quote == "costs 0.42, holds 2, covered: True"
    assert balance.endswith("0 held")
    assert events == "1 accepted, 1 repeated"
    assert rejected.startswith("event 2 is rejected: user_id")


async def test_one_line_around_an_sdk(stack: Stack) -> None:
    with running_provider() as provider:
        text, models = _printed(stack, "wrapped.py", OPENAI_BASE_URL=f"{provider}/v1", OPENAI_API_KEY="sk-test")

    assert (text, models) == ("Tap in, ride", "['gpt-4o', 'gpt-4o-mini']")


async def test_what_tells_no_usage_is_refused_on_request(stack: Stack) -> None:
    (refused,) = _printed(stack, "unmetered.py", OPENAI_API_KEY="sk-test")

    assert refused.startswith("POST /batches may cost money")


async def test_the_phases_one_by_one(stack: Stack) -> None:
    assert _printed(stack, "phases.py") == ["method B: 0.42", "method A: gateway has it", "in one call: 5"]


async def test_an_outage_policy_can_be_declared(stack: Stack) -> None:
    assert _printed(stack, "outage.py") == []


async def test_logs(stack: Stack) -> None:
    assert _printed(stack, "logs.py") == ["0 dropped"]
    headers = {"x-server-api-key": stack.key}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers) as http:
        for _ in range(100):
            found = (await http.get("/api/feature-usage-logs", params={"user_id": "ada"})).json()["data"]
            if len(found) == 2:
                break
            await asyncio.sleep(0.1)

    assert [log["method"] for log in found] == ["POST", "POST"]


def test_a_hosts_own_tests(tmp_path: Path) -> None:
    SERVICE.block("python", title="test_chat.py").save(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "test_chat.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "3 passed" in done.stdout, done.stdout


async def test_calls_from_any_language(stack: Stack) -> None:
    require_program("curl", package="curl")
    printed = SERVICE.block("bash").run(URL=stack.url, KEY=stack.key)
    answers = [exact_json.loads(line) for line in printed.splitlines()]

    assert [answer["status"] for answer in answers] == [200, 200, 200, 202]
    assert answers[1]["data"]["charged"] == exact_json.loads("0.42")


async def test_charging_inside_the_hosts_transaction(server_url: str, tmp_path: Path) -> None:
    name = f"howto_{os.getpid()}_{next(_numbers)}"
    await execute(server_url, f"create database {name}")
    printed = TRANSACTION.block(title="order.py").run(cwd=tmp_path, FAREGATE_DATABASE_URL=address(server_url, name))
    await execute(server_url, f"drop database {name} with (force)")

    assert printed.splitlines()[-3:] == TRANSACTION.block("text").text.splitlines()
