"""Ordering translations: the order and its price are one transaction."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import select

from bureau.models import Translation
from faregate.host import Faregate
from faregate.usage import FeatureUsage

__all__ = ["TRANSLATE", "OrderedTwiceError", "TranslationService"]

TRANSLATE = "translate"


class OrderedTwiceError(Exception):
    """This user has ordered a translation of this title already."""


class TranslationService:
    """The bureau's business."""

    def __init__(self, engine: AsyncEngine, fare: Faregate) -> None:
        self._engine = engine
        self._fare = fare

    async def order(self, translation: Translation) -> FeatureUsage:
        """Charge for a translation and store it: both, or neither.

        The charge comes first here, to show that a failure after it takes it back.
        """
        metadata = {"pages": translation.pages, "language": translation.language, "title": translation.title}
        key = f"translation:{translation.id}"
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                used = await self._fare.charge(
                    TRANSLATE, translation.user_id, key=key, metadata=metadata, session=session
                )
                session.add(translation)
        except IntegrityError as error:
            raise OrderedTwiceError(translation.title) from error
        return used

    async def orders(self, user_id: str) -> Sequence[Translation]:
        """Return what a user ordered."""
        async with AsyncSession(self._engine) as session:
            found = await session.scalars(select(Translation).where(Translation.user_id == user_id))
            return found.all()
