"""Package of credits for sale, as the settings describe it."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PackageSetting"]


class PackageSetting(BaseModel):
    """Credits that are sold together, and their price in US dollars; `name` is what customers read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    credits: Annotated[Decimal, Field(gt=0, lt=10**9, decimal_places=6)]
    usd: Annotated[Decimal, Field(gt=0, lt=10**6, decimal_places=2)]
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
