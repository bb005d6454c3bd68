"""Price service: effective prices, quotes, overrides and margins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import InvalidError
from faregate.usage.credits_process.count_checks import check_counts
from faregate.usage.errors import UnknownPriceError
from faregate.usage.features.documents import PriceDocument
from faregate.usage.features.repository import DefinitionRepository
from faregate.usage.price_book.repository import PriceRepository
from faregate.usage.pricing.line import PriceBook
from faregate.usage.pricing.overrides import Override, PriceList
from faregate.usage.pricing.rate_cards import card_of, card_prices
from faregate.usage.values import ModelUsage, PricingPolicy, UsageLine
from faregate.wire.model_names import canonical_model

__all__ = ["EffectivePrice", "PriceService"]


@dataclass(frozen=True, slots=True)
class EffectivePrice:
    """The price of one model at one moment: `prices` in USD by name (`input_mtok` …), and where it comes from."""

    model: str
    provider: str | None
    prices: Mapping[str, Any]
    price_version: str
    margin_percent: Decimal
    overrides: Sequence[Override]


class PriceService:
    """Reads and changes the prices; owns its transactions.

    Attributes:
        last: the prices as they were last read; the published ones alone before that.
    """

    def __init__(
        self,
        database: Database,
        policy: PricingPolicy,
        repository: PriceRepository,
        definitions: DefinitionRepository,
        clock: IClock,
    ) -> None:
        self._database = database
        self.last = PriceBook(policy)
        self._repository = repository
        self._definitions = definitions
        self._clock = clock
        self._cache: VersionedCache[PriceList] = VersionedCache(database, "prices", repository.price_list)

    async def current(self) -> PriceBook:
        """Return the prices in force, at most half a second old; costs nothing in between."""
        return self._book(await self._cache.get())

    async def newest(self) -> PriceBook:
        """Return the prices of now, not of half a second ago; this asks the database."""
        return self._book(await self._cache.newest())

    async def quote(self, usage: ModelUsage, *, at: datetime | None = None) -> UsageLine:
        """Return what a use would cost at a moment (None for now), without any feature's or plan's own margin.

        Raises:
            InvalidError: a count is unknown, or no whole number from 0 on.
        """
        check_counts([usage])
        return (await self.current()).line(usage, at=at or self._clock.now())

    async def effective(
        self, model: str, *, provider: str | None = None, service_tier: str | None = None, at: datetime | None = None
    ) -> EffectivePrice:
        """Return the price in force.

        Raises:
            UnknownPriceError: there is none.
        """
        book = await self.current()
        price_list = book.price_list
        moment = at or self._clock.now()
        published = book.snapshot.find(model, provider=provider, service_tier=service_tier, at=moment)
        owner = published.provider if published is not None else provider
        override = price_list.override(model, provider=owner, service_tier=service_tier, at=moment)
        name = canonical_model(model)[0]
        known = [item for item in price_list.overrides if canonical_model(item.model)[0] == name]
        if override is None and published is None:
            raise UnknownPriceError(
                f"No price is known for {model!r}; set one with `faregate prices set`", param="model"
            )
        card = override.card if override is not None else published.card if published is not None else None
        version = override.version if override is not None else published.version if published is not None else ""
        margin = price_list.margins.find(model, owner)
        return EffectivePrice(
            model=model,
            provider=owner,
            prices=card_prices(card) if card is not None else {},
            price_version=version,
            margin_percent=margin if margin is not None else book.policy.margin_percent,
            overrides=known,
        )

    async def overrides(self) -> Sequence[Override]:
        """Return all overrides, the oldest first, withdrawn ones included."""
        return (await self.current()).price_list.overrides

    async def set(self, model: str, document: PriceDocument, *, actor: str | None = None) -> Override | None:
        """Add an override, set the model's margin, or both; lines settled before keep their price.

        Raises:
            InvalidError: neither is given, or the prices make no complete card.
        """
        if document.prices is None and not document.sets_margin:
            raise InvalidError("give prices, margin_percent or both", param="prices")
        written = document.model_dump(include={"prices"})["prices"]
        if written is not None:
            card_of(written)
        async with self._database.transaction() as session:
            added = await self._add(session, model, document, written, actor=actor) if written is not None else None
            if document.sets_margin:
                await self._set_margin(session, "model", model, document.margin_percent, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()
        return added

    async def set_margin(
        self, scope: Literal["model", "provider"], name: str, percent: Decimal | None, *, actor: str | None = None
    ) -> None:
        """Set the margin of a model or provider, in percent; None takes it away, 0 means none is added."""
        async with self._database.transaction() as session:
            await self._set_margin(session, scope, name, percent, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()

    async def withdraw(self, number: int, *, actor: str | None = None) -> None:
        """Take an override back; lines that it has priced keep their price.

        Raises:
            UnknownPriceError: there is none of that number, or it was withdrawn before.
        """
        async with self._database.transaction() as session:
            model = await self._repository.withdraw(session, number)
            if model is None:
                raise UnknownPriceError(f"No override {number} that could be withdrawn", param="number")
            await self._definitions.note(session, "price", f"{model}#{number}", None, actor=actor)
            await self._cache.changed(session)
        self._cache.forget()

    def _book(self, price_list: PriceList) -> PriceBook:
        if self.last.price_list is not price_list:
            self.last = replace(self.last, price_list=price_list)
        return self.last

    async def _add(
        self,
        session: AsyncSession,
        model: str,
        document: PriceDocument,
        prices: Mapping[str, Any],
        *,
        actor: str | None,
    ) -> Override:
        start, end = document.effective_from, document.effective_to
        if end is not None and end <= (start or self._clock.now()):
            raise InvalidError("effective_to must be later than effective_from", param="effective_to")
        added = await self._repository.add_override(
            session,
            model,
            provider=document.provider,
            service_tier=document.service_tier,
            effective_from=start,
            effective_to=end,
            prices=prices,
            actor=actor,
            note=document.note,
        )
        content = {"prices": prices, "effective_from": added.effective_from, "effective_to": end}
        await self._definitions.note(session, "price", f"{added.model}#{added.number}", content, actor=actor)
        return added

    async def _set_margin(
        self, session: AsyncSession, scope: str, name: str, percent: Decimal | None, *, actor: str | None
    ) -> None:
        await self._repository.set_margin(session, scope, name, percent)
        content = {"percent": percent} if percent is not None else None
        await self._definitions.note(session, "margin", f"{scope}:{name.lower()}", content, actor=actor)
