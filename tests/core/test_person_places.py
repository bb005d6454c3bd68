"""Erasure of a person from settlements and events: counted values stay, texts go."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.privacy.person_places import is_about, without_person

NAMES = frozenset({"bela", "user:bela", "bela@example.org"})
EVENT: dict[str, Any] = {
    "id": "call-bela-1",
    "source": "host",
    "user_id": "bela",
    "service": "chat",
    "credits": "0.10",
    "input_tokens": 7,
    "metadata": {"images": 3, "id": "bela", "type": "said Bela", "deep": [{"model": "of bela", "n": "2.5"}]},
    "tags": ["bela", "vip"],
    "user_email": "bela@example.org",
    "note": "for Bela",
}


def test_counted_values_stay_and_texts_are_removed() -> None:
    left = without_person(EVENT, NAMES, "erased:1")

    assert "bela" not in str(left).lower()
    assert left["id"].startswith("erased:1:")
    assert {**left, "id": ""} == {
        "id": "",
        "source": "host",
        "user_id": "erased:1",
        "service": "chat",
        "credits": "0.10",
        "input_tokens": 7,
        "metadata": {"images": 3, "deep": [{"n": "2.5"}]},
        "tags": [],
    }


def test_the_same_event_sent_twice_stays_the_same_event() -> None:
    assert without_person(EVENT, NAMES, "erased:1")["id"] == without_person(dict(EVENT), NAMES, "erased:1")["id"]


@pytest.mark.parametrize(
    ("value", "about"),
    [
        ({"user_id": "bela"}, True),
        ({"data": {"grants": [{"actor": "user:bela"}]}}, True),
        ({"join": ["ada", "bela"]}, True),
        ({"email": "bela@example.org"}, True),
        ({"source": "bela", "ai_model": "bela", "reason": "bela"}, False),
        ({"user_id": "bela-2"}, False),
        (["bela"], False),
        ("bela", False),
    ],
)
def test_a_person_is_recognised_by_the_json_member_only(value: Any, about: bool) -> None:
    assert is_about(value, NAMES) is about


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["bela", "ada", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["user_id", "user", "metadata", "a"]), inner)
    ),
)


@given(st.dictionaries(st.sampled_from(["user_id", "users", "metadata", "usages", "id"]), JSON))
def test_the_result_is_no_longer_about_the_person(item: dict[str, Any]) -> None:
    assert not is_about(without_person(item, NAMES, "erased:1"), NAMES)
