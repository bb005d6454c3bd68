"""The bureau's web application: `uvicorn --factory bureau.app:create`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bureau.container import BureauContainer, strategies
from bureau.models import Translation
from bureau.service import TRANSLATE, OrderedTwiceError
from faregate.core import load_settings
from faregate.credit import InsufficientCreditsError
from faregate.usage import Feature
from faregate.wire import exact_json

__all__ = ["create", "create_app"]


def create() -> Starlette:
    """Return the application, its settings from the environment (`FAREGATE_DATABASE_URL`)."""
    return create_app(BureauContainer(settings=load_settings(), extra_strategies=strategies()))


def create_app(container: BureauContainer) -> Starlette:
    """Return the application of `container`."""
    translations = container.translations()

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
        lifespan=_lifespan(container),
    )


def _lifespan(container: BureauContainer) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        async with container.engines():
            feature = Feature(key=TRANSLATE, strategy="per_page", parameters={"credits_per_page": Decimal("1.25")})
            await container.catalog().save(feature)
            yield
        await container.engine().dispose()

    return lifespan


def _json(status: int, content: Any) -> Response:
    return Response(exact_json.dumps(content), status_code=status, media_type="application/json")
