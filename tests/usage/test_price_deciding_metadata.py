"""Metadata that determines the price identifies a call: the same key at another price is a conflict."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.errors import InvalidError
from faregate.credit.errors import UsageKeyConflictError
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest, StartRequest
from support.library import Library

IMAGE = FeatureRef(value="image")


@pytest.fixture
async def sold(library: Library) -> Library:
    await library.feature(Feature("image", "per_unit", parameters={"units": {"images": Decimal(2)}}))
    await library.grant("ada", 100)
    return library


OTHER = [
    pytest.param({"images": 4}, id="another quantity"),
    pytest.param({}, id="no quantity"),
    pytest.param(None, id="no metadata"),
    pytest.param({"images": "many"}, id="no number"),
]
SAME = [
    pytest.param({"images": 3}, id="equal"),
    pytest.param({"images": Decimal("3.0")}, id="the same number"),
    pytest.param({"images": 3, "session": "other"}, id="more that no price hangs on"),
]


@pytest.mark.parametrize("metadata", OTHER)
async def test_direct_use_at_another_price(sold: Library, metadata: Mapping[str, Any] | None) -> None:
    first = await sold.service.record_usage("image", "ada", usage_key="k", metadata={"images": 3})

    with pytest.raises(UsageKeyConflictError):
        await sold.service.record_usage("image", "ada", usage_key="k", metadata=metadata)
    assert (first.credits_charged, await sold.balance("ada")) == (6, 94)


@pytest.mark.parametrize("metadata", SAME)
async def test_direct_use_at_the_same_price(sold: Library, metadata: Mapping[str, Any]) -> None:
    first = await sold.service.record_usage("image", "ada", usage_key="k", metadata={"images": 3, "session": "s"})
    again = await sold.service.record_usage("image", "ada", usage_key="k", metadata=metadata)

    assert again == first
    assert await sold.balance("ada") == 94


async def test_a_replay_after_a_change_of_prices(sold: Library) -> None:
    """Today's price does not affect a use that is already settled."""
    request = SettleRequest("k", "ada", IMAGE, metadata={"images": 3, "session": "s"})
    first = await sold.service.settle(request)
    await sold.feature(Feature("image", "per_unit", parameters={"units": {"images": Decimal(9)}}))
    again = await sold.service.settle(SettleRequest("k", "ada", IMAGE, metadata={"images": 3, "session": "t"}))

    assert (again.charged, first.charged, again.replayed) == (6, 6, True)


async def test_a_replay_that_the_current_rules_would_refuse(sold: Library) -> None:
    """The feature is now sold by another unit, which the old metadata does not contain: the use stays settled."""
    request = SettleRequest("k", "ada", IMAGE, metadata={"images": 3, "pages": "three", "trace": "a"})
    first = await sold.service.settle(request)
    await sold.feature(Feature("image", "per_unit", parameters={"units": {"pages": Decimal(9)}}))
    again = await sold.service.settle(replace(request, metadata={"images": 3, "pages": "three", "trace": "b"}))

    assert (again.charged, first.charged, again.replayed) == (6, 6, True)


async def test_two_prices_in_one_batch(sold: Library) -> None:
    requests = [SettleRequest("k", "ada", IMAGE, metadata={"images": count}) for count in (3, 4, 3)]
    outcomes = await sold.service.settle_batch(requests)

    assert [type(outcome).__name__ for outcome in outcomes] == ["Settled", "UsageKeyConflictError", "Settled"]
    assert await sold.balance("ada") == 94


async def test_another_quantity_in_a_line(sold: Library) -> None:
    def line(quantity: int) -> tuple[ModelUsage, ...]:
        return (ModelUsage(None, quantity=Decimal(quantity), unit="images"),)

    await sold.service.settle(SettleRequest("k", "ada", IMAGE, line(3)))
    with pytest.raises(UsageKeyConflictError):
        await sold.service.settle(SettleRequest("k", "ada", IMAGE, line(4)))


async def test_a_started_use_is_settled_by_the_metadata_of_its_start(sold: Library) -> None:
    """Omitted metadata is that of the start, at the first settlement and at its repetition."""
    await sold.service.authorize(StartRequest("ada", IMAGE, "k", metadata={"images": 3}))
    first = await sold.service.settle(SettleRequest("k", "ada", IMAGE))
    again = await sold.service.settle(SettleRequest("k", "ada", IMAGE))

    assert (first.charged, again.charged, again.replayed) == (6, 6, True)


@pytest.mark.parametrize("metadata", OTHER)
async def test_a_start_at_another_estimate(sold: Library, metadata: Mapping[str, Any] | None) -> None:
    await sold.service.authorize(StartRequest("ada", IMAGE, "k", metadata={"images": 3}))

    with pytest.raises((UsageKeyConflictError, InvalidError)):
        await sold.service.authorize(StartRequest("ada", IMAGE, "k", metadata=metadata))
    assert (await sold.usage.wallets().get("ada"))[0].held == 6


@pytest.mark.parametrize("metadata", SAME)
async def test_a_start_at_the_same_estimate(sold: Library, metadata: Mapping[str, Any]) -> None:
    await sold.service.authorize(StartRequest("ada", IMAGE, "k", metadata={"images": 3, "session": "s"}))
    again = await sold.service.authorize(StartRequest("ada", IMAGE, "k", metadata=metadata))

    assert (again.hold, again.held) == (6, 6)
