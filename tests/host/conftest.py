"""Facades on PostgreSQL and in memory: the same promises hold for both."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest

from faregate.host import FakeFaregate, Faregate

STRATEGIES: dict[str, object] = {
    "per_image": lambda use: 3 * use.metadata.get("images", 1),
    "third": lambda use: Decimal(1) / 3,
}
FEATURES: dict[str, dict[str, Any]] = {
    "image": {"strategy": "per_image"},
    "ai_chat_v1": {"strategy": "token_priced", "min_credits": 2},
}
OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}


def facade(database_url: str) -> Faregate:
    """Return a facade on a database whose users have 20 credits each."""
    return Faregate(database_url, strategies=STRATEGIES, features=FEATURES, initial_credits=20)


@pytest.fixture
async def real(database_url: str) -> AsyncGenerator[Faregate]:
    """A facade on PostgreSQL whose users have 20 credits each."""
    async with facade(database_url) as made:
        yield made


@pytest.fixture
async def fake() -> AsyncGenerator[Faregate]:
    """A facade in memory whose users have 20 credits each."""
    async with FakeFaregate(strategies=STRATEGIES, features=FEATURES, balance=20) as made:
        yield made


@pytest.fixture(params=["real", "fake"])
def fare(request: pytest.FixtureRequest) -> Faregate:
    """A facade on PostgreSQL, and one in memory."""
    made: Faregate = request.getfixturevalue(request.param)
    return made
