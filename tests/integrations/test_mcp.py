"""MCP and FastMCP: each call of a paid tool is held before it runs and settled once."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import uvicorn
from fastmcp import Client, FastMCP
from fastmcp.client.auth import BearerAuth
from fastmcp.exceptions import ToolError
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from mcp.client import Client as SdkClient
from mcp.server import MCPServer
from openai import AsyncOpenAI
from pytest_mock import MockerFixture

from faregate.client import FakeCredits, InvalidError, SyncFakeCredits, current_charge_session, wrap
from faregate.client.testing.pricing import fixed_credits
from faregate.core.errors import DatabaseUnavailableError
from faregate.host import FakeFaregate
from faregate.integrations import fastmcp, mcp
from faregate.integrations.charging import CallCharging
from support.serving import serving

CALL = Decimal("0.42")


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits(balance=10, pricing={"search": fixed_credits(3)}) as credits:
        yield credits


def _charged(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, str, Decimal]]:
    return [(use.user_id, use.status, use.charged) for use in credits.gateway.uses.values()]


def _server(credits: Any, user: str | None = "ada") -> "FastMCP[Any]":
    """A server whose tools are charged by the decorator."""
    server: FastMCP[Any] = FastMCP("fares")

    @server.tool
    @fastmcp.paid("search", credits=credits, user=user)
    async def search(text: str, limit: int = 10) -> list[str]:
        """Search for fares."""
        if text == "fail":
            raise ValueError(text)
        return [text] * limit

    @server.tool
    @fastmcp.paid("search", credits=credits, user=user)
    def search_slowly(text: str) -> str:
        session = current_charge_session.get()
        assert session is not None
        return f"{text} of {session.user_id}"

    return server


async def test_a_paid_tool_keeps_its_schema_and_is_charged(credits: FakeCredits) -> None:
    async with Client(_server(credits)) as client:
        (search, _slow) = await client.list_tools()
        result = await client.call_tool("search", {"text": "zone 2", "limit": 2})

    assert (search.description, search.input_schema["required"]) == ("Search for fares.", ["text"])
    assert (result.data, _charged(credits)) == (["zone 2"] * 2, [("ada", "settled", 3)])


async def test_a_paid_tool_may_be_sync_and_knows_its_session(credits: FakeCredits) -> None:
    async with Client(_server(credits)) as client:
        result = await client.call_tool("search_slowly", {"text": "zone 2"})

    assert (result.data, _charged(credits)) == ("zone 2 of ada", [("ada", "settled", 3)])


async def test_a_paid_tool_that_raises_is_voided(credits: FakeCredits) -> None:
    async with Client(_server(credits)) as client:
        with pytest.raises(ToolError, match="fail"):
            await client.call_tool("search", {"text": "fail"})

    assert _charged(credits) == [("ada", "voided", 0)]


async def test_a_paid_tool_without_credits_answers_with_the_reason() -> None:
    async with FakeCredits(balance=0) as credits, Client(_server(credits)) as client:
        with pytest.raises(ToolError, match="Insufficient credits: 0 free"):
            await client.call_tool("search", {"text": "zone 2"})

        assert credits.gateway.uses == {}


async def test_the_facade_and_sync_credits_charge_tools() -> None:
    fare = FakeFaregate(features={"search": {"strategy": "fixed", "parameters": {"credits": 3}}}, balance=8)
    async with Client(_server(fare)) as client:
        await client.call_tool("search", {"text": "zone 2"})
    assert (await fare.balance("ada")).free == 5

    with SyncFakeCredits() as credits:
        async with Client(_server(credits)) as client:
            await client.call_tool("search_slowly", {"text": "zone 2"})
        assert [state for _, state, _ in _charged(credits)] == ["settled"]


async def test_models_that_a_paid_tool_calls_are_part_of_its_price(provider: str) -> None:
    server: FastMCP[Any] = FastMCP("fares")
    async with FakeCredits() as credits, AsyncOpenAI(api_key="k", base_url=f"{provider}/v1") as openai:
        model = wrap(openai)

        @server.tool
        @fastmcp.paid("chat", credits=credits, user="ada")
        async def ask(text: str) -> str | None:
            hello: Any = [{"role": "user", "content": text}]
            reply = await model.chat.completions.create(model="gpt-4o", messages=hello)
            return reply.choices[0].message.content

        async with Client(server) as client:
            await client.call_tool("ask", {"text": "Hello"})

        assert _charged(credits) == [("ada", "settled", CALL)]


async def test_the_user_is_that_of_the_sessions_token(credits: FakeCredits) -> None:
    verifier = StaticTokenVerifier({"secret": {"client_id": "app", "sub": "bela"}, "nobody": {"client_id": "app"}})
    server = _server(credits, user=None)
    server.auth = verifier
    server.add_middleware(fastmcp.FaregateMiddleware(credits, {"twice": "search"}))
    server.tool(_twice, name="twice")
    config = uvicorn.Config(server.http_app(), port=0, log_level="critical", lifespan="on", ws="none")
    async with serving(config) as url:
        async with Client(f"{url}/mcp", auth=BearerAuth("secret")) as client:
            await client.call_tool("search", {"text": "zone 2"})
            await client.call_tool("twice", {})
        async with Client(f"{url}/mcp", auth=BearerAuth("nobody")) as client:
            with pytest.raises(ToolError, match="who pays for search"):
                await client.call_tool("search", {"text": "zone 2"})

    assert _charged(credits) == [("bela", "settled", 3)] * 2


def _twice() -> int:
    return 2


def _fails() -> int:
    raise ToolError("no")


def _watched(credits: Any, tools: dict[str, str]) -> "FastMCP[Any]":
    """A server whose tools are charged by the middleware."""
    server: FastMCP[Any] = FastMCP("fares")
    server.tool(_twice, name="twice")
    server.tool(_fails, name="fails")
    server.add_middleware(fastmcp.FaregateMiddleware(credits, tools, user="ada"))
    return server


async def test_the_middleware_charges_the_tools_it_names_and_adds_the_receipt(credits: FakeCredits) -> None:
    async with Client(_watched(credits, {"twice": "search"})) as client:
        result = await client.call_tool("twice", {})
        with pytest.raises(ToolError):
            await client.call_tool("fails", {})

    assert (result.data, _charged(credits)) == (2, [("ada", "settled", 3)])
    assert (result.meta or {})["faregate"]["credits_left"] == "7"


async def test_the_middleware_voids_a_tool_that_fails(credits: FakeCredits) -> None:
    async with Client(_watched(credits, {"*": "search"})) as client:
        with pytest.raises(ToolError, match="no"):
            await client.call_tool("fails", {})

    assert _charged(credits) == [("ada", "voided", 0)]


async def test_the_middleware_refuses_with_code_and_amounts() -> None:
    async with FakeCredits(balance=0) as credits, Client(_watched(credits, {"*": "search"})) as client:
        result = await client.call_tool("twice", {}, raise_on_error=False)

    assert result.is_error
    assert result.structured_content == {"code": "insufficient_credits", "balance": "0", "required": "1"}


async def test_a_caller_is_not_told_where_a_database_that_is_away_is(mocker: MockerFixture) -> None:
    fare = FakeFaregate(features={"search": {"strategy": "fixed", "parameters": {"credits": 3}}}, balance=8)
    away = DatabaseUnavailableError("postgresql://faregate@10.0.0.7/credits: nothing listens there", "start it")
    mocker.patch.object(CallCharging, "open", side_effect=away)
    async with Client(_server(fare)) as client:
        with pytest.raises(ToolError, match="the database does not answer; try again") as paid:
            await client.call_tool("search", {"text": "zone 2"})
    async with Client(_watched(fare, {"*": "search"})) as client:
        watched = await client.call_tool("twice", {}, raise_on_error=False)

    assert "10.0.0.7" not in f"{paid.value} {watched.content}"
    assert watched.structured_content == {"code": "unavailable"}


async def test_a_tool_can_be_quoted(credits: FakeCredits) -> None:
    middleware = fastmcp.FaregateMiddleware(credits, {"twice": "search"}, user="ada")

    assert (await middleware.quote("twice", "ada")).hold >= 1
    with pytest.raises(InvalidError, match="'other' is not charged"):
        await middleware.quote("other", "ada")


async def test_tools_of_the_sdks_server_are_charged(credits: FakeCredits) -> None:
    server = MCPServer("fares")

    @server.tool()
    @mcp.paid("search", credits=credits, user=lambda arguments: arguments["account"])
    async def search(text: str, account: str) -> str:
        return f"{text} for {account}"

    async with SdkClient(server) as client:
        done = await client.call_tool("search", {"text": "zone 2", "account": "cleo"})

    assert (done.is_error, done.structured_content) == (False, {"result": "zone 2 for cleo"})
    assert _charged(credits) == [("cleo", "settled", 3)]


async def test_a_tool_of_the_sdks_server_without_credits_answers_with_the_reason() -> None:
    server = MCPServer("fares")
    async with FakeCredits(balance=0) as credits:
        server.tool(name="twice")(mcp.paid("search", credits=credits, user="ada")(_twice))
        async with SdkClient(server) as client:
            refused = await client.call_tool("twice", {})

    assert refused.is_error
    assert "Insufficient credits: 0 free" in str(refused.content)
