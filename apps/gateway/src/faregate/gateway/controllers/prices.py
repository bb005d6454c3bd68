"""Controller of `/api/prices`: prices in force, quotes and overrides."""

from faregate.core.values.fields import ModelName
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.prices import (
    OverrideAnswer,
    PriceAnswer,
    PriceQuery,
    QuoteAnswer,
    QuoteBody,
    override_answer,
    price_answer,
    quote_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownPriceError
from faregate.usage.features.documents import PriceDocument
from faregate.usage.price_book.service import PriceService

__all__ = ["PricesController"]


class PricesController(Controller):
    """Prices over HTTP."""

    def __init__(self, prices: PriceService) -> None:
        self._prices = prices

    @operation("GET", "/api/prices", scope=Scope.USAGE_READ, answer=list[OverrideAnswer])
    async def list_overrides(self, query: PageQuery) -> Page:
        """List the overrides of prices, oldest first, including withdrawn ones."""
        position = position_of(query.cursor, int)
        start = position[0] if position else 0
        found = [item for item in await self._prices.overrides() if item.number > start]
        page = found[: query.limit]
        more = len(found) > len(page)
        return Page([override_answer(item) for item in page], cursor_of(page[-1].number) if more else None)

    @operation(
        "POST",
        "/api/prices/quote",
        scope=Scope.USAGE_READ,
        answer=QuoteAnswer,
        audit=Audit.NEVER,
    )
    async def quote(self, body: QuoteBody) -> QuoteAnswer:
        """Return the cost of a use without charging or storing anything."""
        return quote_answer(await self._prices.quote(body.usage_line(), at=body.at))

    @operation(
        "GET", "/api/prices/{model:path}", scope=Scope.USAGE_READ, answer=PriceAnswer, errors=(UnknownPriceError,)
    )
    async def get_price(self, model: ModelName, query: PriceQuery) -> PriceAnswer:
        """Return the price in force of a model, and its overrides."""
        found = await self._prices.effective(
            model, provider=query.provider, service_tier=query.service_tier, at=query.at
        )
        return price_answer(found)

    @operation(
        "PUT",
        "/api/prices/{model:path}",
        scope=Scope.PRICES_WRITE,
        answer=PriceAnswer,
        errors=(UnknownPriceError,),
        links={
            "read": link("prices.get_price", path={"model": "model"}),
            "quote": link("prices.quote", body={"ai_model": "model"}),
        },
        rehearsable=True,
    )
    async def put_price(self, call: Call, model: ModelName, body: PriceDocument) -> PriceAnswer:
        """Override the prices of a model, set its margin, or both."""
        added = await self._prices.set(model, body, actor=call.principal.id)
        at = added.effective_from if added is not None else None
        found = await self._prices.effective(model, provider=body.provider, service_tier=body.service_tier, at=at)
        return price_answer(found)
