"""A picture shop on FastAPI: `uvicorn --factory app:create`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from faregate.client import InsufficientCreditsError
from faregate.host import Faregate
from faregate.usage import Use


class Base(DeclarativeBase):
    """The shop's own tables."""


class Order(Base):
    """An order of pictures."""

    __tablename__ = "picture_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str]
    images: Mapped[int]


def per_image(use: Use) -> Decimal:
    """Each picture costs 3 credits."""
    return Decimal(3) * int(use.metadata["images"])


STRATEGIES: dict[str, object] = {"per_image": per_image}
FEATURES: dict[str, dict[str, Any]] = {
    "image": {"strategy": "per_image"},
    "ai_chat_v1": {"strategy": "token_priced", "min_credits": 2},
}


async def call_model(prompt: str) -> dict[str, Any]:
    """A stand-in for the SDK of a model provider, whose replies look like this."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    text = {"message": {"role": "assistant", "content": prompt.upper()}}
    return {"object": "chat.completion", "model": "gpt-4o", "choices": [text], "usage": usage}


def create_app(fare: Faregate, engine: AsyncEngine) -> FastAPI:
    """Return the application on a `Faregate` and the shop's own engine."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with fare:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.exception_handler(InsufficientCreditsError)
    async def refused(_: Request, error: InsufficientCreditsError) -> JSONResponse:
        return JSONResponse({"detail": error.detail}, status_code=402)

    @app.post("/orders", status_code=201)
    async def order(images: int, user: Annotated[str, Header()]) -> dict[str, str]:
        """The order and its charge are one transaction: both are stored, or neither is."""
        async with AsyncSession(engine) as session, session.begin():
            session.add(placed := Order(user=user, images=images))
            await session.flush()
            key, metadata = f"order-{placed.id}", {"images": images}
            used = await fare.charge("image", user, key=key, metadata=metadata, session=session)
        return {"order": key, "credits": f"{used.credits_charged:f}"}

    @app.post("/chat")
    async def chat(prompt: str, user: Annotated[str, Header()]) -> dict[str, str]:
        """Credits are held while the model runs, and charged by the tokens that its reply reports."""
        async with fare.use("ai_chat_v1", user) as use:
            reply = await call_model(prompt)
            use.observe(reply)
        return {"answer": reply["choices"][0]["message"]["content"], "credits": f"{use.result.charged:f}"}

    @app.get("/balance")
    async def balance(user: Annotated[str, Header()]) -> dict[str, str]:
        return {"credits": f"{(await fare.balance(user)).free:f}"}

    return app


def create() -> FastAPI:
    """Return the application on the database that FAREGATE_DATABASE_URL names."""
    url = os.environ["FAREGATE_DATABASE_URL"]
    fare = Faregate(url, strategies=STRATEGIES, features=FEATURES, initial_credits=20)
    return create_app(fare, create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1)))
