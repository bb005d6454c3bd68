"""Quote of a use: its hold and its price, without a start."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.services.credits import CreditService
from faregate.usage.credits_process.count_checks import check_counts
from faregate.usage.credits_process.rulebook import IRulebooks, Rulebook
from faregate.usage.credits_process.start import Starter
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import ModelUsage, StartRequest, UseQuote

__all__ = ["Quoter"]


class Quoter:
    """Prices uses by the rules of start and settlement, and writes nothing; owns its transactions."""

    def __init__(
        self, database: Database, rules: IRulebooks, starter: Starter, credit: CreditService, factory: FeatureFactory
    ) -> None:
        self._database = database
        self._rules = rules
        self._starter = starter
        self._credit = credit
        self._factory = factory

    async def quote(self, request: StartRequest, usages: tuple[ModelUsage, ...]) -> UseQuote:
        """Return what a start of `request` would hold, and what `usages` would cost; each stands for the other if empty."""
        rules = await self._rules.current([request.feature])
        check_counts(usages)
        asked = replace(request, estimated_usages=request.estimated_usages or usages)
        used = usages or request.estimated_usages
        return await self._database.run(lambda session: self._quote(session, rules, asked, used))

    async def _quote(
        self, session: AsyncSession, rules: Rulebook, request: StartRequest, usages: tuple[ModelUsage, ...]
    ) -> UseQuote:
        start = await self._starter.prepare(session, rules, request)
        feature, charging = start.feature, start.charging
        price = self._factory.strategy(feature.strategy).price(replace(start.use, usages=usages))
        free = await self._credit.usable(session, charging.payer_id, feature.key)
        return UseQuote(
            user_id=request.user_id,
            feature_key=feature.key,
            charging=charging.rule,
            credits=price.credits,
            hold=start.hold,
            free=free,
            covered=not charging.rule.charges or free >= max(start.hold, price.credits),
            lines=price.lines,
            unpriced_models=tuple(price.unpriced_models),
        )
