"""The shop's tests, in memory: `FakeFaregate` charges as PostgreSQL does, and the shop's table is in SQLite."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import create_async_engine

from app import FEATURES, STRATEGIES, create_app
from faregate.host import FakeFaregate


@pytest.fixture
def client() -> Iterator[TestClient]:
    fare = FakeFaregate(strategies=STRATEGIES, features=FEATURES, balance=10)
    app = create_app(fare, create_async_engine("sqlite+aiosqlite://"))
    with TestClient(app, headers={"user": "ada"}) as client:
        yield client


def credits(client: TestClient) -> float:
    return float(client.get("/balance").json()["credits"])


def test_an_order_is_charged_by_its_pictures(client: TestClient) -> None:
    placed = client.post("/orders", params={"images": 2})

    assert (placed.status_code, float(placed.json()["credits"])) == (201, 6)
    assert credits(client) == 4


def test_an_order_that_cannot_be_paid_is_not_stored(client: TestClient) -> None:
    refused = client.post("/orders", params={"images": 4})
    placed = client.post("/orders", params={"images": 1})

    assert (refused.status_code, placed.json()["order"]) == (402, "order-1")
    assert credits(client) == 7


def test_a_chat_is_charged_by_its_tokens(client: TestClient) -> None:
    answer = client.post("/chat", params={"prompt": "hello"}).json()

    assert (answer["answer"], float(answer["credits"])) == ("HELLO", 0.42)
    assert credits(client) == 9.58
