"""Interface of a host's sentiment model."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

__all__ = ["ISentimentModel", "NoSentiment"]


@runtime_checkable
class ISentimentModel(Protocol):
    """Rates what users wrote. It gets texts after redaction, and never whose they are.

    `name` identifies the model and its version: the result is stored with it.
    """

    @property
    def name(self) -> str: ...

    async def rate(self, texts: Sequence[str]) -> Sequence[Decimal | None]:
        """Return the sentiment of each text, in order, from -1 (negative) to 1 (positive); None where it cannot be told."""
        ...


class NoSentiment:
    """The default: texts are not rated."""

    name = ""

    async def rate(self, texts: Sequence[str]) -> Sequence[Decimal | None]:
        return [None] * len(texts)
