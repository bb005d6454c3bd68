"""Conversion between credits and micro-credits keeps the amount."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.wire.credits import to_credits, to_micros


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_converting_back_returns_the_same_amount(micros: int) -> None:
    assert to_micros(to_credits(micros)) == micros


@pytest.mark.parametrize("amount", ["0.0000001", "1000000000", "-1000000000", "NaN", "Infinity", "1e20"])
def test_amounts_that_cannot_be_stored_exactly_are_refused_with_the_parameter_name(amount: str) -> None:
    with pytest.raises(InvalidError) as refused:
        to_micros(Decimal(amount), param="hold")

    assert refused.value.param == "hold"


def test_integers_are_whole_credits() -> None:
    assert to_micros(5) == 5_000_000
