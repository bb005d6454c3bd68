"""Answers are written by a faster encoder with the same result as the exact encoder."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from faregate.gateway.http.envelope import ContentResponse
from faregate.wire import exact_json


class Model(BaseModel):
    """A model with fields."""

    name: str
    amount: Decimal
    at: datetime | None = None


MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=12)
    | MOMENTS
    | st.uuids()
    | st.builds(
        Model, name=st.text(), amount=st.decimals(allow_nan=False, allow_infinity=False), at=st.none() | MOMENTS
    )
)
ANSWERS = st.recursive(
    LEAVES, lambda some: st.lists(some) | st.lists(some).map(tuple) | st.dictionaries(st.text(), some), max_leaves=20
)


@given(ANSWERS)
def test_an_answer_is_what_the_exact_encoder_writes(content: Any) -> None:
    assert bytes(ContentResponse(content, status=200).body) == exact_json.dumps(content)


def test_decimals_and_large_integers_are_written_with_all_digits() -> None:
    content = {"credits": Decimal("1E+3"), "price": Decimal("0.10"), "big": 2**70, "id": UUID(int=7)}
    body = bytes(ContentResponse(content, status=200).body)

    assert (
        body == b'{"credits":1000,"price":0.1,"big":1180591620717411303424,"id":"00000000-0000-0000-0000-000000000007"}'
    )
