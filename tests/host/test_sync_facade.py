"""The facade without an event loop: the same words, from threads, forks and scripts."""

import os
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from host.conftest import FEATURES, OPENAI, STRATEGIES
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from faregate.client import InsufficientCreditsError, InvalidError
from faregate.host import SyncFakeFaregate, SyncFaregate


@pytest.fixture(params=["postgresql", "memory"])
def fare(request: pytest.FixtureRequest) -> Generator[SyncFaregate]:
    """A sync facade whose users have 20 credits each, on PostgreSQL and in memory."""
    if request.param == "memory":
        made: SyncFaregate = SyncFakeFaregate(strategies=STRATEGIES, features=FEATURES, balance=20)
    else:
        url = request.getfixturevalue("database_url")
        made = SyncFaregate(url, strategies=STRATEGIES, features=FEATURES, initial_credits=20)
    with made:
        yield made


def test_the_same_words_without_an_event_loop(fare: SyncFaregate) -> None:
    fare.features.define("page", strategy="fixed", parameters={"credits": 2})
    fare.organizations.define("acme", policy="pooled", join=["bela"])
    fare.grant("org:acme", 10, key="order-1")
    charged = fare.charge("page", "bela", key="K")
    refund = fare.refund("K", reason="empty page")
    report = fare.usage.record([{"id": "1", "user_id": "ada", "kind": "meter", "meter": "api", "quantity": 1}])

    assert (charged.organization_id, charged.credits_charged, refund.credits) == ("acme", 2, 2)
    assert fare.balance("org:acme").free == 30
    assert (fare.usage.story("K").charge.status, report.accepted) == ("settled", 1)
    assert [use.usage_key for use in fare.usage.list(user="bela")] == ["K"]
    assert {"image", "page", "per_image"} <= {feature.key for feature in fare.features.list()}
    assert fare.features.get("page").parameters == {"credits": 2}
    assert [o.organization_id for o in fare.organizations.list()] == [fare.organizations.get("acme").organization_id]


def test_a_block_settles_what_it_observed(fare: SyncFaregate) -> None:
    with fare.use("ai_chat_v1", "ada", estimate=5) as use:
        held = fare.balance("ada").held
        use.observe(OPENAI)

    assert (held, use.result.state, use.result.charged) == (5, "settled", Decimal("0.42"))


async def test_a_block_with_async_is_refused(fare: SyncFaregate) -> None:
    with pytest.raises(InvalidError, match="use the async ones"):
        await fare.use("ai_chat_v1", "ada").__aenter__()


def test_threads_share_one_facade_and_never_overspend(fare: SyncFaregate) -> None:
    def charge(_: int) -> bool:
        try:
            fare.charge("image", "ada")
        except InsufficientCreditsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(charge, range(12)))

    assert outcomes.count(True) == 6


def test_a_strategy_is_registered_before_the_first_call(fare: SyncFaregate) -> None:
    fare.strategy("double")(lambda use: 2)
    fare.features.define("double", strategy="double")

    assert fare.charge("double", "ada").credits_charged == 2


def test_a_fork_opens_connections_of_its_own(database_url: str) -> None:
    """As in gunicorn and Celery: made and used before the fork, used in the child."""
    code = (
        "import os\n"
        "from faregate.host import SyncFaregate\n"
        "fare = SyncFaregate(initial_credits=20, features={'page': {'strategy': 'fixed', 'parameters': {'credits': 2}}})\n"
        "fare.charge('page', 'ada')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    fare.charge('page', 'ada'); fare.close(); os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(fare.balance('ada').free.normalize())\n"
    )
    environment = {**os.environ, "FAREGATE_DATABASE_URL": database_url, "FAREGATE_LOG_LEVEL": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("16\n", 0), done.stderr


def test_a_block_across_a_fork_is_settled_by_the_parent_alone(database_url: str) -> None:
    """The child leaves the block too, after a charge of its own; it touches neither the parent's use nor its connections."""
    code = (
        "import os\n"
        "from faregate.host import SyncFaregate\n"
        "fare = SyncFaregate(initial_credits=20, features={'page': {'strategy': 'fixed', 'parameters': {'credits': 2}}})\n"
        "with fare.use('page', 'ada') as use:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        fare.charge('page', 'bela')\n"
        "    else:\n"
        "        assert os.waitpid(child, 0)[1] == 0\n"
        "if child == 0:\n"
        "    os._exit(0)\n"
        "print(use.result.state, *(fare.balance(user).free.normalize() for user in ('ada', 'bela')))\n"
    )
    environment = {**os.environ, "FAREGATE_DATABASE_URL": database_url, "FAREGATE_LOG_LEVEL": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr, done.returncode) == ("settled 18 18\n", "", 0)


def test_in_memory_a_charge_on_commit_follows_the_session() -> None:
    with (
        SyncFakeFaregate(strategies=STRATEGIES, features=FEATURES, balance=20) as fare,
        Session(create_engine("sqlite://")) as session,
    ):
        fare.charge_on_commit(session, "image", "ada", key="K")
        before = fare.balance("ada").free
        session.connection()
        session.commit()

        assert (before, fare.balance("ada").free) == (20, 17)
