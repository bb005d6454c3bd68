"""Answers are written by a faster encoder with the same result as the exact encoder."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from pkgutil import walk_packages
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, RootModel, computed_field
from pydantic.alias_generators import to_camel

from faregate.gateway import schemas
from faregate.gateway.http.envelope import ContentResponse
from faregate.wire import exact_json


class Model(BaseModel):
    """A model with fields."""

    name: str
    amount: Decimal
    at: datetime | None = None


for _module in walk_packages(schemas.__path__, f"{schemas.__name__}."):
    import_module(_module.name)

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


class Custom(BaseModel):
    """Models that pydantic writes in a way of their own."""

    hidden: str = Field(default="x", exclude=True)
    spelled: Annotated[int, PlainSerializer(hex)] = 255
    parts: list[Model] = []

    @computed_field
    def sum(self) -> int:
        """A field that is not stored."""
        return self.spelled + 1


class Camel(BaseModel):
    """A model whose fields are written under other names."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, populate_by_name=True)

    made_at: datetime


class Open(BaseModel):
    """A model that keeps fields it does not know."""

    model_config = ConfigDict(extra="allow")


def test_models_with_rules_of_their_own_are_written_by_them() -> None:
    part = Model(name="a", amount=Decimal("1.50"))
    content = {
        "custom": Custom(parts=[part]),
        "open": Open.model_validate({"more": 1}),
        "root": RootModel[list[int]]([1, 2]),
        "camel": Camel(made_at=datetime(2026, 11, 29, tzinfo=UTC)),
    }

    assert bytes(ContentResponse(content, status=200).body) == (
        b'{"custom":{"spelled":"0xff","parts":[{"name":"a","amount":1.5,"at":null}],"sum":256},'
        b'"open":{"more":1},"root":[1,2],"camel":{"madeAt":"2026-11-29T00:00:00Z"}}'
    )


def shapes_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return all models below `model` that the gateway declares."""
    below = [each for each in model.__subclasses__() if each.__module__.startswith("faregate.gateway.")]
    return [*below, *(each for one in below for each in shapes_of(one))]


@pytest.mark.parametrize("model", dict.fromkeys(shapes_of(BaseModel)), ids=lambda model: model.__name__)
def test_fields_of_answers_are_those_that_pydantic_would_write(model: type[BaseModel]) -> None:
    """Under the names that it would write, in all models of the gateway."""
    values = dict.fromkeys(model.model_fields)
    answer = model.model_construct(**values)

    assert bytes(ContentResponse({"data": answer}, status=200).body) == exact_json.dumps({"data": answer.model_dump()})


def test_decimals_and_large_integers_are_written_with_all_digits() -> None:
    content = {"credits": Decimal("1E+3"), "price": Decimal("0.10"), "big": 2**70, "id": UUID(int=7)}
    body = bytes(ContentResponse(content, status=200).body)

    assert (
        body == b'{"credits":1000,"price":0.1,"big":1180591620717411303424,"id":"00000000-0000-0000-0000-000000000007"}'
    )
