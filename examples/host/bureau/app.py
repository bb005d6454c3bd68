"""The bureau's web application: `uvicorn --factory bureau.app:create`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bureau.models import Translation
from bureau.service import TRANSLATE, OrderedTwiceError, TranslationService
from bureau.strategy import PerPageStrategy
from faregate.client import InsufficientCreditsError
from faregate.host import Faregate
from faregate.wire import exact_json

__all__ = ["create", "create_app", "make_engine", "make_fare"]


def make_fare(url: str) -> Faregate:
    """Return Faregate with the bureau's strategy and feature; the bureau's own migrations bring the schema."""
    per_page = PerPageStrategy(rare_languages=frozenset({"fo", "se"}), surcharge=Decimal("2.5"))
    translate = {"strategy": "per_page", "parameters": {"credits_per_page": Decimal("1.25")}}
    return Faregate(url, strategies={"per_page": per_page}, features={TRANSLATE: translate}, migrate=False)


def make_engine(url: str) -> AsyncEngine:
    """Return the bureau's own engine, on the database that Faregate uses, too."""
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))


def create() -> Starlette:
    """Return the application on the database that FAREGATE_DATABASE_URL names."""
    url = os.environ["FAREGATE_DATABASE_URL"]
    return create_app(make_fare(url), make_engine(url))


def create_app(fare: Faregate, engine: AsyncEngine) -> Starlette:
    """Return the application; it opens and closes both."""
    translations = TranslationService(engine, fare)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with fare:
            yield
        await engine.dispose()

    async def order(request: Request) -> Response:
        wish = exact_json.loads(await request.body())
        translation = Translation(user_id=request.headers["x-user"], **wish)
        try:
            used = await translations.order(translation)
        except InsufficientCreditsError as no:
            return _json(402, {"message": "Not enough credits", "required": no.required, "balance": no.balance})
        except OrderedTwiceError as no:
            return _json(409, {"message": f"You have ordered {no} already"})
        return _json(201, {"id": translation.id, "credits": used.credits_charged})

    async def orders(request: Request) -> Response:
        found = await translations.orders(request.headers["x-user"])
        return _json(200, [{"title": order.title, "pages": order.pages} for order in found])

    return Starlette(
        routes=[
            Route("/translations", order, methods=["POST"]),
            Route("/translations", orders, methods=["GET"]),
        ],
        lifespan=lifespan,
    )


def _json(status: int, content: Any) -> Response:
    return Response(exact_json.dumps(content), status_code=status, media_type="application/json")
