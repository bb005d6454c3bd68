"""The account directory interface, implemented by a host."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.credit.errors import InsufficientCreditsError
from faregate.usage.values import AccountFacts, ChargingPolicy, FeatureKey, FeatureRef, Rule, StartRequest
from support.library import Library

PAPER = FeatureKey.GENERATE_QUESTION_PAPER


class CompanyDirectory:
    """The host's table of employees determines the organisation; all companies pay for their members."""

    async def facts(self, session: AsyncSession, accounts: Sequence[tuple[str, str | None]]) -> Sequence[AccountFacts]:
        rows = await session.execute(text("select person, company from employee"))
        companies = {row.person: row.company for row in rows}
        return [AccountFacts(user, companies.get(user), ChargingPolicy.POOLED) for user, _ in accounts]


@pytest.fixture
def seams() -> dict[str, Any]:
    return {"directory": CompanyDirectory()}


@pytest.fixture(autouse=True)
async def employees(library: Library) -> None:
    async with library.database.transaction() as session:
        await session.execute(text("create table employee (person text, company text)"))
        await session.execute(text("insert into employee values ('kim', 'acme')"))


async def test_host_directory_decides_the_payer_in_the_transaction_of_the_start(library: Library) -> None:
    await library.grant("org:acme", 20)
    started = await library.service.authorize(StartRequest("kim", FeatureRef(value=PAPER.value)))
    used = await library.service.record_usage(PAPER, "kim")
    with pytest.raises(InsufficientCreditsError):
        await library.service.record_usage(PAPER, "a-stranger")

    assert (started.charging, used.organization_id) == (Rule.POOLED, "acme")
    assert (await library.balance("org:acme"), await library.balance("kim")) == (Decimal(15), Decimal(0))
