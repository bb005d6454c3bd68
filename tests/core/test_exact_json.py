"""Exact JSON: numbers keep every digit, and ambiguous texts are refused."""

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import MalformedError
from faregate.wire.exact_json import dumps, loads


class Colour(Enum):
    RED = "red"


exact = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.decimals(min_value=-(10**12), max_value=10**12, places=12)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=5),
    max_leaves=20,
)


@given(exact)
def test_written_values_read_back_equal(value: object) -> None:
    assert loads(dumps(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e20"), max_value=Decimal("1e20")))
def test_a_decimal_is_written_in_plain_digits(value: Decimal) -> None:
    text = dumps(value).decode()

    assert "e" not in text.lower()
    assert Decimal(text) == value


def test_a_decimal_keeps_digits_that_a_float_would_lose() -> None:
    assert loads(b"[0.1, 12345678901.123456, 1e-6]") == [
        Decimal("0.1"),
        Decimal("12345678901.123456"),
        Decimal("0.000001"),
    ]


def test_whole_numbers_stay_integers() -> None:
    assert [type(item) for item in loads(b"[1, 1.0]")] == [int, Decimal]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("5.000000"), b"5"),
        (Decimal("0E-6"), b"0"),
        (Decimal("-0.0"), b"0"),
        (Decimal(100), b"100"),
        (Decimal("2.5E-9"), b"0.0000000025"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), b'"2026-01-31T10:00:00Z"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, b'"red"'),
        ((1, True, None), b"[1,true,null]"),
        ({"é": "\n"}, '{"é":"\\n"}'.encode()),
    ],
)
def test_written_forms(value: object, written: bytes) -> None:
    assert dumps(value) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
def test_nan_and_infinity_are_not_written(value: object) -> None:
    with pytest.raises(ValueError, match="not a JSON number"):
        dumps(value)


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), object(), b"bytes"])
def test_values_without_a_json_form_raise_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a":1,"a":2}', "'a' stands twice"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"1" * 65, "more than 64 digits"),
        (b"1e999", "exponent"),
        (b"0." + b"1" * 70, "more than 64 characters"),
        (b"[" * 33 + b"]" * 33, "deeper than 32"),
        (b"[" * 200_000, "deeper than 32"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\u0000":1}', "NUL"),
        (b'[{"a":"\\u0000"}]', "NUL"),
    ],
)
def test_ambiguous_or_harmful_texts_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(MalformedError, match=problem):
        loads(data)


def test_nesting_up_to_the_limit_passes() -> None:
    assert loads(b"[" * 32 + b"]" * 32) is not None


json_like = st.text('[]{}",:.eE-+0123456789truefalsn\\ ', max_size=40).map(str.encode)


@given(st.binary(max_size=200) | json_like)
def test_any_bytes_are_refused_or_read_as_the_standard_parser_reads_them(data: bytes) -> None:
    try:
        read = loads(data)
    except MalformedError:
        return
    assert read == json.loads(data, parse_float=Decimal)
