"""Rules of spending limits: what a start may still spend in its period."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.credit.errors import SpendingLimitError
from faregate.credit.ledger.limits import LimitPeriod, LimitState, check_limits

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def limit(*, soft: int | None = None, hard: int | None = None, spent: int = 0, held: int = 0) -> LimitState:
    return LimitState("member:7:1", LimitPeriod.MONTH, soft, hard, MONDAY, spent, held)


@pytest.mark.parametrize(
    ("state", "amount", "warned"),
    [
        (limit(hard=100), 100, []),
        (limit(hard=100, spent=60, held=30), 10, []),
        (limit(soft=50, hard=100), 50, []),
        (limit(soft=50, hard=100), 51, ["member:7:1"]),
        (limit(soft=0), 0, []),
        (limit(soft=50, spent=80), 1, ["member:7:1"]),
    ],
)
def test_spending_up_to_a_hard_bound_is_allowed_and_above_a_soft_bound_is_reported(
    state: LimitState, amount: int, warned: list[str]
) -> None:
    assert check_limits([state], amount) == warned


@pytest.mark.parametrize(
    ("state", "amount"),
    [
        (limit(hard=100), 101),
        (limit(hard=100, spent=60, held=30), 11),
        (limit(hard=100, spent=100), 0),
        (limit(hard=100, spent=120), 1),
        (limit(hard=0), 0),
    ],
)
def test_start_above_or_at_a_reached_hard_bound_is_refused(state: LimitState, amount: int) -> None:
    with pytest.raises(SpendingLimitError) as refused:
        check_limits([limit(hard=10**6), state], amount)

    assert refused.value.code == "member_limit"


@given(hard=st.integers(0, 100), amounts=st.lists(st.integers(0, 60), max_size=20))
def test_total_of_allowed_starts_never_exceeds_the_bound(hard: int, amounts: list[int]) -> None:
    state = limit(hard=hard)
    for amount in amounts:
        try:
            check_limits([state], amount)
        except SpendingLimitError:
            continue
        state.held += amount

    assert state.held <= hard


def test_new_period_resets_spent_but_not_held() -> None:
    state = limit(hard=100, spent=100, held=5)
    state.roll(datetime(2026, 4, 1, tzinfo=UTC))

    assert (state.spent, state.held, state.started_at.day) == (0, 5, 1)
