"""Repeated calls: metadata with another price is a conflict, equal metadata a repetition."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.credit.errors import UsageKeyConflictError
from faregate.usage.credits_process.request_hash import has_same_price
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import (
    Feature,
    FeatureRef,
    ModelUsage,
    Price,
    PricingPolicy,
    SettleRequest,
    StartRequest,
    Use,
)
from support.library import Library

PAGES = FeatureRef(value="translate")


class PerPage:
    """A host's strategy that does not declare what it reads: a number of credits per page."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return parameters

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        if use.metadata.get("pages") == "many":
            raise InvalidError("metadata.pages must be a number", param="metadata.pages")
        return Price(Decimal(use.metadata.get("pages", 1)) * 2)


@pytest.fixture
def extra_strategies() -> dict[str, IFeatureStrategy]:
    return {"translate": PerPage()}


@pytest.fixture
async def funded(library: Library) -> Library:
    await library.grant("ada", 1000)
    return library


async def _per_unit(library: Library, credits: str, **parameters: Any) -> None:
    await library.feature(Feature("store", "per_unit", parameters={"units": {"gb": Decimal(credits)}, **parameters}))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (None, None, True),
        ({"pages": 2}, {"pages": 2}, True),
        ({"pages": 2}, {"pages": Decimal("2.0")}, True),
        ({"pages": 2, "ratio": 0.1}, {"pages": 2, "ratio": 0.1}, True),
        ({"pages": 2, "attempt": 1}, {"pages": 2, "attempt": 2}, True),
        ({"pages": 2, "tags": ("a", "b")}, {"pages": 2, "tags": ["a", "b"]}, True),
        ({"pages": 2, "api_key": "sk-" + "a" * 40}, {"pages": 2, "api_key": "sk-" + "b" * 40}, True),
        (None, {"pages": 1}, True),
        ({"pages": 2}, {"pages": 3}, False),
        ({"pages": 2}, {}, False),
        ({"pages": 2}, None, False),
        (None, {"pages": 2}, False),
        ({"pages": 2}, {"pages": "many"}, False),
    ],
)
async def test_a_repeated_use(
    funded: Library, first: Mapping[str, Any] | None, second: Mapping[str, Any] | None, same: bool
) -> None:
    used = await funded.service.record_usage("translate", "ada", usage_key="k", metadata=first)
    try:
        again = await funded.service.record_usage("translate", "ada", usage_key="k", metadata=second)
    except UsageKeyConflictError:
        assert not same
    else:
        assert same
        assert again == used
    assert await funded.balance("ada") == 1000 - used.credits_charged


async def test_two_prices_of_one_key_in_one_batch(funded: Library) -> None:
    """The key was unknown when the batch began: the first is charged, the second is a conflict."""
    requests = [SettleRequest("k", "ada", PAGES, metadata={"pages": pages}) for pages in (2, 3, 2)]
    first, second, third = await funded.service.settle_batch(requests)

    assert not isinstance(first, Exception)
    assert not isinstance(third, Exception)
    assert isinstance(second, UsageKeyConflictError)
    assert "metadata" in second.detail
    assert (first.charged, third.charged, third.replayed) == (4, 4, True)
    assert await funded.balance("ada") == 996


async def test_a_repeated_start(funded: Library) -> None:
    """The hold was sized by its metadata: the same key with metadata of another size is a conflict, not the first hold."""
    start = StartRequest("ada", PAGES, "k", metadata={"pages": 5})
    held = await funded.service.authorize(start)
    again = await funded.service.authorize(StartRequest("ada", PAGES, "k", metadata={"pages": 5, "attempt": 2}))
    with pytest.raises(UsageKeyConflictError, match="metadata"):
        await funded.service.authorize(StartRequest("ada", PAGES, "k", metadata={"pages": 6}))
    with pytest.raises(UsageKeyConflictError, match="metadata"):
        await funded.service.authorize(StartRequest("ada", PAGES, "k"))

    assert (held.hold, again.hold) == (10, 10)
    assert await funded.free("ada") == 990


async def test_settlement_without_metadata_uses_that_of_its_start(funded: Library) -> None:
    await funded.service.authorize(StartRequest("ada", PAGES, "k", metadata={"pages": 5}))
    for metadata in (None, {}, {"pages": 5}):
        settled = await funded.service.settle(SettleRequest("k", "ada", PAGES, metadata=metadata))
        assert settled.charged == 10
    with pytest.raises(UsageKeyConflictError):
        await funded.service.settle(SettleRequest("k", "ada", PAGES, metadata={"pages": 4}))
    assert (await funded.service.story("k")).charge.metadata == {"pages": 5}


async def test_repetition_after_a_change_of_price_is_still_a_repetition(funded: Library) -> None:
    """Even if the feature reads other metadata by then, or refuses the metadata of the first use."""
    await _per_unit(funded, "3")
    used = await funded.service.record_usage("store", "ada", usage_key="k", metadata={"gb": 2, "attempt": 1})
    await _per_unit(funded, "4")
    for attempt in (1, 2):
        again = await funded.service.record_usage("store", "ada", usage_key="k", metadata={"gb": 2, "attempt": attempt})
        assert again == used
    with pytest.raises(UsageKeyConflictError):
        await funded.service.record_usage("store", "ada", usage_key="k", metadata={"gb": 3})
    await funded.feature(Feature("store", "per_unit", parameters={"units": {"attempt": Decimal(1)}}))
    assert await funded.service.record_usage("store", "ada", usage_key="k", metadata={"gb": 2, "attempt": 1}) == used
    await funded.usage.catalog().delete("store")
    (settled,) = await funded.service.settle_batch(
        [SettleRequest("k", "ada", FeatureRef(value="store"), metadata={"gb": 3, "attempt": 1})]
    )
    assert not isinstance(settled, Exception)
    assert (settled.charged, settled.replayed) == (6, True)
    assert await funded.balance("ada") == 994


async def test_another_quantity_at_the_same_price_is_another_use(funded: Library) -> None:
    """Ten of a package of ten cost as much as nine; the quantity is recorded, so that it identifies the call."""
    await funded.feature(
        Feature("pack", "package", parameters={"unit": "gb", "size": Decimal(10), "credits": Decimal(1)})
    )
    await funded.service.record_usage("pack", "ada", usage_key="m", metadata={"gb": 9})
    with pytest.raises(UsageKeyConflictError):
        await funded.service.record_usage("pack", "ada", usage_key="m", metadata={"gb": 10})

    nine, ten = ((ModelUsage(None, quantity=Decimal(count), unit="gb"),) for count in (9, 10))
    await funded.service.record_usage("pack", "ada", usage_key="q", usages=nine)
    with pytest.raises(UsageKeyConflictError):
        await funded.service.record_usage("pack", "ada", usage_key="q", usages=ten)


async def test_price_of_a_debit_does_not_depend_on_its_metadata(funded: Library) -> None:
    debited = await funded.service.debit("ada", "store", Decimal(5), usage_key="k", metadata={"gb": 1})
    again = await funded.service.debit("ada", "store", Decimal(5), usage_key="k", metadata={"gb": 2})
    with pytest.raises(UsageKeyConflictError):
        await funded.service.debit("ada", "store", Decimal(6), usage_key="k", metadata={"gb": 1})

    assert again == debited
    assert await funded.balance("ada") == 995


def test_equal_metadata_is_not_priced_again(library_use: Use) -> None:
    def price(use: Use) -> Price:
        raise AssertionError("not asked")

    assert has_same_price(price, library_use, first={"pages": Decimal(2)}, again={"pages": 2})


@pytest.fixture
def library_use() -> Use:
    return Use(
        Feature("translate", "translate"), SystemClock().now(), metadata={"pages": 2}, prices=PriceBook(PricingPolicy())
    )
