"""Opening and closing: from nothing to a charge in three lines, and what is wrong is said before the first request."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from host.conftest import FEATURES, STRATEGIES, facade

from faregate.core.errors import ConfigurationError, EngineUnavailableError
from faregate.core.settings import load_settings
from faregate.credit.services.credits import CreditService
from faregate.host import FakeFaregate, Faregate, FaregateContainer
from faregate.usage import Price, Use
from faregate.usage.credits_process.process import CreditsProcess
from support.apps import running_worker, settings_for
from support.servers import address, execute


class PerImage:
    """A strategy as a host writes it."""

    def check(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return parameters

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        return Price(Decimal(4))


@pytest.fixture
async def empty_url(server_url: str) -> AsyncGenerator[str]:
    """A database without our schema."""
    await execute(server_url, "create database opening")
    yield address(server_url, "opening")
    await execute(server_url, "drop database opening with (force)")


async def test_a_new_database_is_migrated_and_its_features_are_defined(empty_url: str) -> None:
    for _ in range(2):
        async with facade(empty_url) as fare:
            await fare.charge("image", "ada", key="K")
            assert (await fare.balance("ada")).free == 17


async def test_what_an_operator_has_changed_stays(database_url: str) -> None:
    async with facade(database_url) as fare:
        await fare.features.define("image", strategy="fixed", parameters={"credits": 1})
    async with facade(database_url) as fare:
        assert (await fare.charge("image", "ada")).credits_charged == 1


async def test_without_migration_an_old_schema_is_refused(empty_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not migrated yet.*run `faregate migrate`"):
        await Faregate(empty_url, migrate=False).open()


async def test_strategies_are_objects_classes_or_functions() -> None:
    fare = FakeFaregate(strategies={"object": PerImage(), "class": PerImage, "function": lambda use: 4})

    @fare.strategy("decorated")
    def per_word(use: Use) -> Decimal:
        return Decimal("0.5") * len(str(use.metadata["text"]).split())

    @fare.strategy("decorated_class")
    class _Six(PerImage):
        def price(self, use: Use) -> Price:
            return Price(Decimal(6))

    prices = {"object": 4, "class": 4, "function": 4, "decorated": 1, "decorated_class": 6}
    for name in prices:
        await fare.features.define(name, strategy=name)
    charged = {
        name: (await fare.charge(name, "ada", metadata={"text": "two words"})).credits_charged for name in prices
    }

    assert charged == prices
    with pytest.raises(ConfigurationError, match="before Faregate is opened"):
        fare.strategy("late")(PerImage)


@pytest.mark.parametrize(
    ("made", "problem"),
    [(5, "is a int; register"), (CreditService, "cannot be made"), (CreditsProcess, "cannot be made")],
)
def test_what_is_no_strategy_is_refused_at_once(made: object, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Faregate("postgresql://x/y", strategies={"wrong": made})


async def _no_price(use: Use) -> int:
    return 1


@pytest.mark.parametrize(
    ("name", "made", "problem"),
    [
        ("fixed", lambda use: 0, "is a strategy of Faregate"),
        ("slow", _no_price, "is async"),
        ("empty", lambda: 5, "function of one argument"),
    ],
)
def test_a_strategy_that_would_price_wrongly_is_refused_at_once(name: str, made: object, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Faregate("postgresql://x/y", strategies={name: made})


def test_wrong_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="address once"):
        Faregate("postgresql://x/y", database_url="postgresql://x/z")
    with pytest.raises(ConfigurationError, match="did you mean initial_credits"):
        Faregate("postgresql://x/y", inital_credits=5)
    with pytest.raises(ConfigurationError, match="FAREGATE_DATABASE_URL"):
        Faregate("mysql://x/y")
    with pytest.raises(ConfigurationError, match="either a container"):
        Faregate("postgresql://x/y", container=FaregateContainer(settings=load_settings()))


@pytest.mark.parametrize(
    ("definition", "named"),
    [
        ({}, "strategy"),
        ({"strategy": "nope"}, "nope"),
        ({"strategy": "fixed", "parameters": {"credit": 1}}, "credit"),
        (5, "mapping"),
    ],
)
async def test_a_definition_that_cannot_be_used_is_named(database_url: str, definition: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"features: image: .*{named}"):
        await Faregate(database_url, features={"image": definition}).open()


async def test_a_feature_that_the_database_has_otherwise_stays_and_is_logged(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for credits, logged in ((1, False), (1, False), (2, True)):
        caplog.clear()
        features = {"image": {"strategy": "fixed", "parameters": {"credits": credits}}}
        async with Faregate(database_url, features=features, initial_credits=9) as fare:
            assert (await fare.charge("image", "ada")).credits_charged == 1
        assert ("the feature image stays as the database has it" in caplog.text) == logged


async def test_a_container_of_the_hosts_own_is_used(database_url: str) -> None:
    container = FaregateContainer(settings=load_settings(database_url=database_url, initial_credits=20))
    async with Faregate(container=container, strategies=STRATEGIES, features=FEATURES) as fare:
        await fare.charge("image", "ada")
        assert (await container.wallets().free("ada")) == 17


def test_it_opens_with_an_application_and_closes_with_it(database_url: str) -> None:
    fare = Faregate(database_url, strategies=STRATEGIES, features=FEATURES, initial_credits=20)
    app = FastAPI(lifespan=fare.lifespan)

    @app.post("/image")
    async def image() -> str:
        return str((await fare.charge("image", "ada")).credits_charged.normalize())

    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/image").json() == "3"


async def test_a_settlement_waits_for_a_database_that_is_away(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block ends well, its settlement is on disk, and the next process of the host writes it."""
    away = True
    settle = CreditsProcess.settle

    async def unavailable(self: CreditsProcess, request: Any) -> Any:
        if away:
            raise EngineUnavailableError("the database cannot be reached; try again")
        return await settle(self, request)

    monkeypatch.setattr(CreditsProcess, "settle", unavailable)
    fare = Faregate(database_url, features=FEATURES, strategies=STRATEGIES, initial_credits=20, spool_dir=tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(fare)
        async with fare.use("ai_chat_v1", "ada", key="K") as use:
            use.add("gpt-4o", input_tokens=1000, output_tokens=100)
        assert (use.result.state, use.result.charged, use.result.by) == ("pending", None, "spool")
        await fare._uses.__aexit__(None, None, None)
    assert list(tmp_path.glob("*.spool"))

    away = False
    async with Faregate(database_url, strategies=STRATEGIES, spool_dir=tmp_path) as again:
        await again._uses._delivery.drain()
        assert (await again.usage.story("K")).charge.status == "settled"


def test_it_may_be_opened_on_one_event_loop_after_another(database_url: str) -> None:
    """As a test suite with a loop for each test does; nothing of the first loop is used on the second."""
    fare = Faregate(database_url, features=FEATURES, strategies=STRATEGIES, initial_credits=20)

    async def charged() -> Decimal:
        async with fare:
            await asyncio.gather(*(fare.charge("image", "ada") for _ in range(2)))
            async with fare.use("ai_chat_v1", "ada") as use:
                use.add("gpt-4o", input_tokens=1000, output_tokens=100)
            return (await fare.balance("ada")).free

    assert [asyncio.run(charged()), asyncio.run(charged())] == [Decimal("13.58"), Decimal("7.16")]


async def test_an_inner_block_leaves_the_outer_one_open(database_url: str) -> None:
    async with facade(database_url) as fare:
        async with fare:
            pass
        assert (await fare.balance("ada")).free == 20


async def test_a_price_of_more_places_is_rounded_up(fare: Faregate) -> None:
    await fare.grant("ada", 1, key="more")
    async with fare.use("third", "ada") as use:
        use.add("gpt-4o", input_tokens=1)

    assert use.result.charged == Decimal("0.333334")


async def test_a_settlement_whose_strategy_fails_is_kept(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The work is done: the block ends, the log names the use, and a worker with the mended strategy settles it."""
    prices: list[Decimal | None] = [Decimal(1), None, None]
    fare = Faregate(database_url, strategies={"odd": lambda use: prices.pop(0)}, initial_credits=20)
    async with fare, fare.use("odd", "ada", key="K") as use:
        pass
    assert (use.result.state, use.result.charged) == ("pending", None)
    assert "K of ada was not settled: TypeError" in caplog.text

    settings = settings_for(database_url, initial_credits=20)
    worker = running_worker(settings, extra_strategies={"odd": PerImage()})
    async with worker, asyncio.timeout(20), Faregate(database_url) as again:
        while (await again.usage.story("K")).charge.status != "settled":
            await asyncio.sleep(0.05)
        assert (await again.balance("ada")).free == 16
