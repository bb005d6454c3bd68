"""Cost service: return on cost, saving hints, what-if calculations."""

import asyncio
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.asking import ask_of, refuse_filters
from faregate.analytics.insights.costs.evidence import returns_evidence, savings_evidence, what_if_evidence
from faregate.analytics.insights.costs.hints import LEAST_LINES, saving_hints
from faregate.analytics.insights.costs.line_models import (
    families,
    finder,
    limits_of_bands,
    priced_models,
    spellings,
)
from faregate.analytics.insights.costs.repository import CostRepository
from faregate.analytics.insights.costs.returns import return_facts, return_total, return_usd
from faregate.analytics.insights.costs.scenario import Proposal, scenario_answer
from faregate.analytics.insights.costs.sql import LINE_FILTERS
from faregate.analytics.insights.costs.values import ReturnBy
from faregate.analytics.insights.customers.upsell import monthly_grants
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.series import complete_range
from faregate.analytics.insights.values import Insight, InsightKind, InsightResult, PersonFinding
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_models import KnownModels
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.rate_cards import card_of

__all__ = ["RECENT_COST_DAYS", "CostService"]

RECENT_COST_DAYS = 28
"""Four weeks: each day of the week counts the same."""

_PEOPLE = 1000
_CURRENT_FOR = timedelta(hours=1)
_NOT_OF_CHARGES = {"model", "provider", "meter"}
_ONLY_LINES = "it is about lines of settled uses, which have a feature, a model, a provider, a user and an organisation"


class CostService:
    """Insights about money, from events and lines of the last 28 complete days, or of the range of a what-if question."""

    def __init__(
        self,
        database: Database,
        repository: CostRepository,
        keeper: InsightKeeper,
        models: KnownModels,
        prices: PriceService,
        catalog: FeatureCatalog,
        clock: IClock,
    ) -> None:
        self._database = database
        self._repository = repository
        self._keeper = keeper
        self._models = models
        self._prices = prices
        self._catalog = catalog
        self._clock = clock

    async def returns(
        self, question: Question, by: ReturnBy = "feature", *, limit: int = 100, user_id: str | None = None
    ) -> Insight:
        """Return what each feature, plan or user brought beyond its provider cost, the lowest return first.

        Args:
            limit, user_id: how many users are listed, or which one; of `by="user"` only.

        Raises:
            InvalidError: the question filters by model, provider or meter; a use is charged as a whole.
        """
        refuse_filters(question, {*question.filters.given} & _NOT_OF_CHARGES, "a use is charged as a whole")
        ask = ask_of(InsightKind.RETURNS, question, by=by)
        return await self._keeper.current(
            ask,
            lambda: self._returns(question, by),
            made_since=self._today(question),
            people=limit if by == "user" else 0,
            user_id=user_id,
        )

    async def savings(self, question: Question) -> Insight:
        """Return what could have cost less, with amounts, the largest saving first.

        Raises:
            InvalidError: the question filters by what lines do not have.
        """
        refuse_filters(question, {*question.filters.given} - {*LINE_FILTERS}, _ONLY_LINES)
        ask = ask_of(InsightKind.SAVINGS, question)
        return await self._keeper.current(ask, lambda: self._savings(question), made_since=self._today(question))

    async def what_if(self, question: Question, proposal: Proposal) -> Insight:
        """Return what the settled uses of the question's range would have cost and brought under a proposal. Changes nothing.

        The same question gives the same kept result for an hour.

        Raises:
            InvalidError: the question filters by what lines do not have, or the proposal names an unknown feature, plan or
                price.
        """
        refuse_filters(question, {*question.filters.given} - {*LINE_FILTERS}, _ONLY_LINES)
        await self._check(proposal)
        span = question.range
        ask = ask_of(InsightKind.WHAT_IF, question, start=span.start, end=span.end, proposal=asdict(proposal))
        since = self._clock.now() - _CURRENT_FOR
        return await self._keeper.current(ask, lambda: self._what_if(question, proposal), made_since=since)

    def _today(self, question: Question) -> datetime:
        return period_at(self._clock.now(), "day", time_zone(question.range.timezone))

    def _recent(self, question: Question) -> Question:
        return complete_range(question, "day", now=self._clock.now(), count=RECENT_COST_DAYS)

    async def _returns(self, question: Question, by: ReturnBy) -> InsightResult:
        asked, price = self._recent(question), (await self._prices.current()).policy.credit_price_usd
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            found = await self._repository.returns(session, asked, by)
        parts = sorted(found, key=lambda sums: (return_usd(sums, price), str(sums.key)))
        total = return_total(parts)
        facts = [return_facts(part, price) for part in parts]
        people: list[PersonFinding] = []
        named: list[dict[str, Any]] = []
        if by == "user":
            ranked = enumerate(zip(parts[:_PEOPLE], facts, strict=False), start=1)
            people = [PersonFinding(int(part.key or 0), rank, each) for rank, (part, each) in ranked]
        else:
            named = [{"name": part.key, **each} for part, each in zip(parts, facts, strict=True)]
        answer = {"by": by, "credit_price_usd": price, "total": return_facts(total, price), "parts": named}
        evidence = returns_evidence(asked, by, total, price, listed=_PEOPLE)
        return InsightResult(bool(parts), evidence, answer, people)

    async def _savings(self, question: Question) -> InsightResult:
        book = await self._prices.current()
        recent = self._recent(question)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            asked = await self._models.resolve(session, recent)
            used = await self._repository.models(session, asked)
            family = await asyncio.to_thread(families, book, used)
            bands = limits_of_bands(book, used, family, asked.range.start, asked.range.end)
            sums, others = await self._repository.lines(session, asked, bands)
        lines = sum(each.lines for each in sums)
        evidence = savings_evidence(asked, lines=lines, others=others)
        if lines < LEAST_LINES:
            return InsightResult(False, evidence, {})
        hints = await asyncio.to_thread(saving_hints, sums, finder(book), family, bands)
        cost = sum((each.cost_usd for each in sums), Decimal(0))
        return InsightResult(True, evidence, {"cost_usd": cost, "hints": [hint.as_json for hint in hints]})

    async def _check(self, proposal: Proposal) -> None:
        catalog = await self._catalog.current()
        for margin in proposal.margins:
            if margin.feature is not None and margin.feature not in catalog.features:
                raise InvalidError(
                    f"margins.feature {margin.feature!r} is no feature; GET /api/features lists them", param="margins"
                )
        named: list[tuple[str, str | None]] = [("margins", each.plan) for each in proposal.margins]
        for param, plan in (*named, *(("grants", each.plan) for each in proposal.grants)):
            if plan is not None and plan not in catalog.plans:
                raise InvalidError(f"{param}.plan {plan!r} is no plan; GET /api/plans lists them", param=param)
        for price in proposal.prices:
            card_of(price.prices)

    async def _what_if(self, question: Question, proposal: Proposal) -> InsightResult:
        policy = (await self._prices.current()).policy
        proposed = replace(policy, credit_price_usd=proposal.credit_price_usd or policy.credit_price_usd)
        plans = (await self._catalog.current()).plans
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            asked = await self._models.resolve(session, question)
            used = await self._repository.models(session, asked)
            prices = priced_models(proposal, used)
            spelled = spellings(proposal, used)
            sums = await self._repository.scenario(session, asked, proposal, prices, spelled, proposed)
        grants = {key: monthly_grants(plan) for key, plan in plans.items()}
        days = Decimal((asked.range.end - asked.range.start) // timedelta(hours=1)) / 24
        answer = scenario_answer(
            sums,
            days=days,
            credit_price_usd=policy.credit_price_usd,
            new_credit_price_usd=proposed.credit_price_usd,
            grants=grants,
            new_grants={**grants, **{grant.plan: grant.monthly_credits for grant in proposal.grants}},
        )
        evidence = what_if_evidence(asked, proposal, uses=answer["uses"], unpriced=answer["unpriced_lines"])
        return InsightResult(answer["uses"] > 0, evidence, answer if answer["uses"] else {})
