"""Repricing of uses that were settled without a price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import ChargeState, TransferNote
from faregate.credit.services.credits import CreditService
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.price_book.repository import ParkedLine, PriceRepository
from faregate.usage.price_book.repriced_events import EventChange, RepricedEvents
from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.line import PriceBook
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import Feature, Rule, UsageLine, Use
from faregate.wire.credits import to_credits, to_micros

__all__ = ["Repriced", "Repricer"]

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Repriced:
    """What became of one parked use: lines priced now, credits charged for them, lines that still wait.

    Attributes:
        reasons: why each of those lines waits, such as `line 0: no price is known for …`.
    """

    usage_key: str
    lines: int
    charged: Decimal
    waiting: int
    reasons: tuple[str, ...] = ()


class Repricer:
    """Prices parked lines as of the time of their use; owns its transactions, one per use."""

    def __init__(
        self,
        database: Database,
        catalog: FeatureCatalog,
        factory: FeatureFactory,
        prices: PriceService,
        parked: PriceRepository,
        usages: UsageRepository,
        credit: CreditService,
        events: RepricedEvents,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._factory = factory
        self._prices = prices
        self._parked = parked
        self._usages = usages
        self._ledger = credit.repricing
        self._events = events

    async def parked(
        self, *, model: str | None = None, usage_key: str | None = None, after: str = "", limit: int = _PAGE
    ) -> Sequence[ParkedLine]:
        """Return uses with unpriced lines, in order of their keys, from just behind `after`."""
        async with self._database.transaction(read_only=True) as session:
            return await self._parked.parked(session, model=model, usage_key=usage_key, after=after, limit=limit)

    async def run(
        self,
        *,
        model: str | None = None,
        usage_key: str | None = None,
        by_parts: bool = False,
        actor: str | None = None,
    ) -> list[Repriced]:
        """Price what is parked and can be priced now; doing it again changes nothing.

        Each line costs what it would have cost at its time, and makes at most one transfer (kind `reprice`) for what
        exceeds what was charged already: the feature's minimum stands for parked lines until then.

        Args:
            by_parts: price counts that contradict each other too, each part by itself.
        """
        done: list[Repriced] = []
        after = ""
        while found := await self.parked(model=model, usage_key=usage_key, after=after):
            done += [await self._reprice(use.usage_key, by_parts=by_parts, actor=actor) for use in found]
            after = found[-1].usage_key
        return done

    async def _reprice(self, usage_key: str, *, by_parts: bool, actor: str | None) -> Repriced:
        prices = await self._prices.current()
        catalog = await self._catalog.current()

        async def work(session: AsyncSession) -> Repriced:
            author = await self._ledger.author(session, actor)
            book, charge = await self._ledger.lock(session, usage_key)
            lines = list((await self._usages.lines(session, [usage_key])).get(usage_key, ()))
            feature = catalog.settled_feature(charge.feature_key)
            changes: list[EventChange] = []
            for number, line in enumerate(lines):
                priced = self._price(prices, feature, line, charge, by_parts=by_parts) if line.unpriced else None
                if priced is None:
                    continue
                lines[number] = priced
                changes.append(self._change(book, charge, feature, lines, number, actor=author))
                await self._usages.price_line(session, usage_key, number, priced)
            reasons = [
                f"line {number}: {_why(prices, line, charge, by_parts=by_parts)}"
                for number, line in enumerate(lines)
                if line.unpriced
            ]
            waiting = len(reasons)
            if changes and not waiting:
                self._ledger.close(book, charge)
            await self._ledger.write(session, book)
            await self._events.change(session, charge, changes, actor=author)
            return Repriced(
                usage_key, len(changes), to_credits(sum(c.charged for c in changes)), waiting, tuple(reasons)
            )

        return await self._database.run(work)

    def _price(
        self, prices: PriceBook, feature: Feature, line: UsageLine, charge: ChargeState, *, by_parts: bool
    ) -> UsageLine | None:
        usage = line.usage
        if by_parts and usage.inconsistent:
            margin = feature.margin_percent
            found = [prices.line(usage, at=charge.created_at, feature_margin=margin, by_parts=True)]
        else:
            use = Use(feature, charge.created_at, (usage,), charge.metadata or {}, prices=prices)
            found = list(self._factory.strategy(feature.strategy).price(use).lines)
        same = [item for item in found if (item.usage.model, item.usage.unit) == (usage.model, usage.unit)]
        return replace(same[0], usage=line.usage) if same and not same[0].unpriced else None

    def _change(
        self,
        book: Book,
        charge: ChargeState,
        feature: Feature,
        lines: Sequence[UsageLine],
        number: int,
        *,
        actor: str | None,
    ) -> EventChange:
        """Charge what the use costs by now beyond what it was priced at."""
        total = sum((line.credits for line in lines), Decimal(0))
        if any(line.unpriced for line in lines):
            total = max(total, feature.min_credits)
        more = max(0, to_micros(total) - charge.consumed)
        version = lines[number].price_version
        note = TransferNote(
            usage_key=charge.usage_key,
            corrects_seq=charge.first_seq,
            operation_key=f"reprice:{charge.usage_key}:{number}:{version}",
            actor=actor,
            reason=f"line {number} priced by {version}",
        )
        charged = self._ledger.add(
            book, charge, consumed=more, chargeable=more if Rule(charge.rule).charges else 0, note=note
        )
        return EventChange(number, lines[number], to_micros(lines[number].credits), more, charged)


def _why(prices: PriceBook, line: UsageLine, charge: ChargeState, *, by_parts: bool) -> str:
    why = prices.why_unpriced(line.usage, at=charge.created_at, by_parts=by_parts)
    return why or f"the strategy of {charge.feature_key} gives it no price"
