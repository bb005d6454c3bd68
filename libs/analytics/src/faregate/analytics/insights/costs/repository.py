"""Repository of the lines, costs and charges of uses."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.conditions_sql import parameters
from faregate.analytics.insights.costs.scenario import PricedModel, Proposal, ScenarioSums
from faregate.analytics.insights.costs.sql import (
    line_models_sql,
    line_sums_sql,
    returns_sql,
    scenario_sql,
)
from faregate.analytics.insights.costs.values import LineGroup, LineSums, ReturnBy, ReturnSums
from faregate.analytics.insights.sql import INSIGHT_HEAVY
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.usage.pricing.linear_prices import PLAIN_COUNTS
from faregate.wire.credits import to_credits
from faregate.wire.money import PricingPolicy

__all__ = ["CostRepository"]

_PICO = Decimal("0.000000000001")
_MICROS = 10**6


class CostRepository:
    """Reads in the caller's transaction; months of events that are archived are noted on the question."""

    def __init__(self, database: Database, archived: ArchivedMonths) -> None:
        self._database = database
        self._archived = archived

    async def returns(self, session: AsyncSession, question: Question, by: ReturnBy) -> Sequence[ReturnSums]:
        """Return the sums of each feature, plan or user in the range."""
        await self._archived.note(session, question, None)
        await self._database.rows(session, INSIGHT_HEAVY)
        rows = await self._database.rows(session, returns_sql(by, question.filters), **parameters(question))
        return [
            ReturnSums(
                row.key,
                row.uses,
                to_credits(row.consumed),
                to_credits(row.charged),
                Decimal(row.cost) * _PICO,
                row.unpriced_uses,
                to_credits(row.unpriced_charged),
                Decimal(row.unpriced_cost) * _PICO,
                row.unpriced_tokens,
            )
            for row in rows
        ]

    async def models(self, session: AsyncSession, question: Question) -> Sequence[tuple[str, str | None, str | None]]:
        """Return the model, provider and service tier of the lines that were settled in the range."""
        rows = await self._database.rows(session, line_models_sql(question.filters), **parameters(question))
        return [(row.model, row.provider, row.service_tier) for row in rows]

    async def lines(
        self, session: AsyncSession, question: Question, bands: Sequence[int]
    ) -> tuple[Sequence[LineSums], int]:
        """Return the sums of the priced lines with text only, and how many other priced lines there are.

        Args:
            bands: the sizes of input at which prices change, ascending.
        """
        await self._database.rows(session, INSIGHT_HEAVY)
        rows = await self._database.rows(
            session, line_sums_sql(question.filters), **parameters(question), bands=list(bands)
        )
        return [_sums(row) for row in rows if row.plain], sum(row.lines for row in rows if not row.plain)

    async def scenario(
        self,
        session: AsyncSession,
        question: Question,
        proposal: Proposal,
        prices: Sequence[PricedModel],
        spellings: Mapping[str, Sequence[str]],
        policy: PricingPolicy,
    ) -> Sequence[ScenarioSums]:
        """Return what the settled uses of the range would have cost and brought, by feature, and by plan and user.

        Args:
            prices: the proposed prices of each model as the lines spell it.
            spellings: of each model that a proposed margin names.
        """
        ordered, counts = proposal.ordered_margins, _priced_counts(prices)
        given: dict[str, Any] = {}
        for n, margin in enumerate(ordered):
            given[f"margin_{n}"] = margin.margin_percent
            given |= {f"margin_feature_{n}": margin.feature} if margin.feature is not None else {}
            given |= {f"margin_models_{n}": list(spellings[margin.model])} if margin.model is not None else {}
            given |= {f"margin_plan_{n}": margin.plan} if margin.plan is not None else {}
        await self._database.rows(session, INSIGHT_HEAVY)
        rows = await self._database.rows(
            session,
            scenario_sql(question.filters, [margin.conditions for margin in ordered], counts),
            **parameters(question),
            **given,
            **_price_arrays(prices, counts),
            all_credits=proposal.credit_price_usd is not None,
            divisor=100 * policy.credit_price_usd * policy.quantum,
            quantum=policy.quantum * _MICROS,
        )
        return [_scenario(row) for row in rows]


def _sums(row: Any) -> LineSums:
    return LineSums(
        LineGroup(row.feature_key, row.model, row.provider, row.service_tier),
        row.day,
        row.band,
        row.lines,
        row.cost,
        {name: getattr(row, name) for name in PLAIN_COUNTS},
        row.prefix,
        row.windows,
    )


def _priced_counts(prices: Sequence[PricedModel]) -> Sequence[str]:
    """Return the counts that make a difference: those with a price, and those whose lines would have none."""
    return [name for name in PLAIN_COUNTS if any(price.prices.units[name] != 0 for price in prices)]


def _price_arrays(prices: Sequence[PricedModel], counts: Sequence[str]) -> dict[str, Any]:
    return {
        "price_models": [price.model for price in prices],
        "price_providers": [price.provider for price in prices],
        "price_calls": [price.prices.call for price in prices],
        **{f"p_{name}": [price.prices.units[name] for price in prices] for name in counts},
    }


def _scenario(row: Any) -> ScenarioSums:
    return ScenarioSums(
        feature=row.feature_key if row.of_feature else None,
        plan=row.plan,
        subject_id=None if row.of_feature else row.subject_id,
        uses=row.uses,
        lines=row.lines,
        unpriced=row.unpriced,
        credits=to_credits(int(row.consumed)),
        new_credits=to_credits(int(row.new_consumed)),
        charged=to_credits(int(row.charged)),
        new_charged=to_credits(int(row.new_charged)),
        cost_usd=row.cost,
        new_cost_usd=row.new_cost,
    )
