"""Allowed range of moments: nothing is stored that cannot be read."""

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

import faregate.feature_log
import faregate.usage
from faregate.core.errors import InvalidError
from faregate.core.values.fields import Body, LooseBody, Moment
from faregate.core.values.moments import EARLIEST, LATEST, check_moment, is_within_bounds, moment_in

ADAPTER: TypeAdapter[datetime] = TypeAdapter(Moment)
OUTSIDE = [
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"),
    *("1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "1970-01-01T00:30:00+01:00", "2199-12-31T23:30:00-01:00"),
]


@pytest.mark.parametrize("text", OUTSIDE)
def test_times_outside_the_range_are_refused_with_the_fix(text: str) -> None:
    with pytest.raises(ValidationError, match="from 1970 up to 2200; leave it out"):
        ADAPTER.validate_python(text)
    with pytest.raises(InvalidError, match="expires_at must be"):
        moment_in(text, param="expires_at")


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59.999999Z", "2026-11-28T12:00:00+05:45"])
def test_times_within_the_range_are_accepted(text: str) -> None:
    assert ADAPTER.validate_python(text) == moment_in(text, param="at")


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "24:00", "2026-01-31T25:00:00Z", "infinity", "1e99"])
def test_texts_that_are_not_moments_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(text)
    with pytest.raises(InvalidError):
        moment_in(text, param="at")


@given(st.datetimes(), st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m))))
def test_any_moment_is_accepted_or_refused(naive: datetime, zone: timezone) -> None:
    """None raises another kind of error, and accepted ones can be shifted by a century and shown in UTC."""
    moment = naive.replace(tzinfo=zone)
    try:
        taken = check_moment(moment, param="at")
    except InvalidError:
        assert not is_within_bounds(moment)
        return
    assert EARLIEST <= taken < LATEST
    assert taken.tzinfo is UTC
    assert taken - timedelta(days=36_525) < taken + timedelta(days=36_525)


def _incoming() -> Iterator[type[BaseModel]]:
    """Return every request body and query model of the gateway and the queues."""
    for package in (faregate.feature_log, faregate.usage):  # all bodies are defined there and in the gateway
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("faregate.gateway.container")
    waiting: list[type[BaseModel]] = [Body, LooseBody]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        yield kind


def _holds_datetime(annotation: Any) -> bool:
    return annotation in {datetime, AwareDatetime} or any(_holds_datetime(part) for part in get_args(annotation))


def _checks(annotation: Any) -> Iterator[str]:
    """Return the names of all validators in an annotation."""
    for part in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        if isinstance(part, AfterValidator):
            yield getattr(part.func, "__name__", "")
        yield from _checks(part)


def _is_bounded(field: FieldInfo) -> bool:
    own = [getattr(part.func, "__name__", "") for part in field.metadata if isinstance(part, AfterValidator)]
    return "_within_bounds" in {*own, *_checks(field.annotation)}


def test_every_moment_of_every_body_and_query_is_bounded() -> None:
    fields = [
        (f"{kind.__name__}.{name}", field)
        for kind in _incoming()
        for name, field in kind.model_fields.items()
        if _holds_datetime(field.annotation)
    ]
    unbounded = [name for name, field in fields if not _is_bounded(field)]

    assert len(fields) > 15
    assert unbounded == ["UsageEvent.time"], "which is bounded by the settings of late and future events"
