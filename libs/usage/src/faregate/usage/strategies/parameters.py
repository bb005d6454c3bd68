"""Validation of strategies' parameters.

A feature is checked when it is saved.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faregate.core.errors import InvalidError

__all__ = ["Amount", "Parameters", "UnitName", "checked"]

Amount = Annotated[Decimal, Field(ge=0, lt=10**9, decimal_places=6)]
UnitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["images"])]

P = TypeVar("P", bound="Parameters")


class Parameters(BaseModel):
    """The parameters of one strategy; unknown ones are refused, so that a typing error is not a price."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def checked(kind: type[P], parameters: Mapping[str, Any]) -> P:
    """Return `parameters` as `kind`, or raise `InvalidError` naming the wrong one."""
    try:
        return kind.model_validate(dict(parameters))
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        name = ".".join(["parameters", *map(str, problem["loc"])])
        raise InvalidError(f"{name}: {problem['msg']}", param=name) from None
