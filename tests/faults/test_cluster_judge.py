"""The judge of cluster trials: it accepts what callers were told, and names each kind of loss and doubling."""

from typing import Any

import pytest

from faults.cluster.faults import Fault
from faults.cluster.judge import Found, judge
from faults.cluster.results import UNCONFIRMED, UNREPLICATED, Result, Window
from faults.cluster.stalls import Stalls, longest_silence
from faults.cluster.uses import Acknowledged, Use


def _told() -> Acknowledged:
    told = Acknowledged(tried={"a": ("ada", 5), "b": ("ada", 7)}, started={"a"}, logs={"l"}, events={"e"})
    told.uses["a"] = Use("ada", 5, "HTTP", 1.0)
    return told


def _charge(user: str, micros: int, *, status: int = 1, times: int = 1) -> dict[str, Any]:
    return {"user_id": user, "status": status, "consumed": micros, "charged": micros, "times": times}


def _found(**changes: Any) -> Found:
    sound: dict[str, Any] = {
        "charges": {"a": _charge("ada", 5)}, "debits": {"ada": 5}, "logs": {"l": 1}, "events": {"e": 1},
    }  # fmt: skip
    return Found(**(sound | changes))


def test_what_was_acknowledged_and_done_once_is_right() -> None:
    assert not judge(_told(), _found()).faults


def test_a_use_without_an_answer_may_be_settled_or_not() -> None:
    both = {"a": _charge("ada", 5), "b": _charge("ada", 7)}
    assert not judge(_told(), _found(charges=both, debits={"ada": 12})).faults


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"charges": {}, "debits": {"ada": 0}}, "acknowledged settlements lost"),
        ({"charges": {}, "debits": {"ada": 0}}, "acknowledged starts lost"),
        ({"charges": {"a": _charge("ada", 5, times=2)}}, "keys not charged exactly once"),
        ({"charges": {"a": _charge("bela", 5)}, "debits": {"bela": 5}}, "keys settled with another payer or price"),
        ({"charges": {"a": _charge("ada", 6)}, "debits": {"ada": 6}}, "keys settled with another payer or price"),
        ({"charges": {"a": _charge("ada", 5), "c": _charge("ada", 1)}, "debits": {"ada": 6}}, "keys that nobody used"),
        ({"debits": {"ada": 10}}, "wallets with another total"),
        ({"logs": {}}, "acknowledged logs lost"),
        ({"logs": {"l": 2}}, "logs stored more than once"),
        ({"events": {}}, "acknowledged events lost"),
        ({"events": {"e": 2}}, "events stored more than once"),
    ],
)
def test_each_kind_of_loss_and_doubling_is_named(changes: dict[str, Any], kind: str) -> None:
    assert kind in judge(_told(), _found(**changes)).faults


def test_answers_other_than_503_with_retry_after_are_faults() -> None:
    told = _told()
    told.wrong["HTTP: 500"] += 2
    assert judge(told, _found()).faults == {"answers that are not 503 with Retry-After": 2}


def test_a_silence_counts_from_the_fault_to_its_end() -> None:
    assert longest_silence([1, 2, 8, 9], 0, 20, Stalls()) == 11
    assert longest_silence([], 3, 5, Stalls()) == 2


def test_what_the_machine_stood_still_does_not_count_as_a_silence() -> None:
    stalls = Stalls()
    for due, woken in ((2.0, 2.4), (3.0, 6.0), (7.5, 9.0)):
        stalls.note(due, woken)
    assert stalls.seen == [(3.0, 6.0), (7.5, 9.0)]
    assert stalls.within(5.0, 8.0) == 1.5
    assert longest_silence([2, 8], 0, 9, stalls) == 2.5


async def _choose() -> str:
    return "p1"


async def _nothing(_machine: str) -> None:
    """Neither break nor mend."""


@pytest.mark.parametrize(
    ("name", "silence", "quorum", "lost", "passed"),
    [
        ("rabbitmq", 29.9, True, False, True),
        ("rabbitmq", 30.1, True, False, False),
        ("rabbitmq", 60.0, False, False, True),
        ("rabbitmq", 1.0, True, True, False),
        (UNREPLICATED, 1.0, True, False, False),
        (UNREPLICATED, 60.0, True, True, True),
        (UNCONFIRMED, 1.0, True, False, False),
        (UNCONFIRMED, 1.0, True, True, True),
    ],
)
def test_a_trial_passes_if_nothing_is_wrong_or_late_and_a_control_if_something_is_lost(
    name: str, silence: float, quorum: bool, lost: bool, passed: bool
) -> None:
    fault = Fault("a node killed", 1, _choose, _nothing, _nothing, quorum=quorum)
    window = Window(fault, "p1", 0, silences={"HTTP": silence})
    verdict = judge(_told(), _found(charges={}, debits={"ada": 0}) if lost else _found())

    assert Result(name, [window], {}, verdict, 1.0).passed is passed


def test_a_control_that_is_wrong_without_a_loss_has_shown_nothing() -> None:
    verdict = judge(_told(), _found(logs={"l": 2}))
    assert verdict.faults == {"logs stored more than once": 1}
    assert not Result(UNCONFIRMED, [], {}, verdict, 1.0).passed
