"""The task's tests, in this process: no broker, no worker, and `SyncFakeFaregate` in place of a database."""

from collections.abc import Iterator

import pytest

import tasks
from faregate.client import InsufficientCreditsError
from faregate.host import SyncFakeFaregate, SyncFaregate


@pytest.fixture
def fare(monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncFaregate]:
    with SyncFakeFaregate(features=tasks.FEATURES, balance=2) as fake:
        monkeypatch.setattr(tasks, "fare", fake)
        yield fake


def test_a_task_is_charged_by_its_tokens(fare: SyncFaregate) -> None:
    done = tasks.answer.apply(args=("ada", "hello"), task_id="task-1").get()

    assert (done["answer"], float(done["credits"])) == ("HELLO", 0.42)
    assert fare.usage.story("task-1:0").charge.status == "settled"


@pytest.mark.usefixtures("fare")
def test_a_user_without_credits_gets_no_answer() -> None:
    tasks.answer.apply(args=("ada", "hello"))

    with pytest.raises(InsufficientCreditsError):
        tasks.answer.apply(args=("ada", "hello")).get()
