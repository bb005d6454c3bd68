"""Base of the types that show a value of a service."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Self, TypeVar

import strawberry
from strawberry.extensions import FieldExtension

from faregate.gateway.errors import ScopeMissingError
from faregate.gateway.graphql.context import GraphContext
from faregate.gateway.graphql.cost import priced
from faregate.gateway.security.auth import Scope

__all__ = ["ForSellers", "Shown", "answered"]

F = TypeVar("F", bound=Callable[..., Any])


def answered(description: str, points: int = 0, *, items: int = 1, sized_by: str | None = None) -> Callable[[F], F]:
    """Declare a method as a field with a price; see `priced`."""
    made: Callable[[F], F] = strawberry.field(
        description=description, metadata=priced(points, items=items, sized_by=sized_by)
    )
    return made


@strawberry.type
class Shown:
    """An object with the fields of a value that have the same names."""

    @classmethod
    def of(cls, value: object, **others: Any) -> Self:
        """Return the object of `value`; `others` are the fields that it has under other names."""
        names = (field.name for field in fields(cls) if field.init and field.name not in others)
        return cls(**{name: getattr(value, name) for name in names}, **others)

    @classmethod
    def of_answer(cls, answer: object, **others: Any) -> Self:
        """Return the object of an answer of the HTTP interface whose fields are in camel case."""
        names = (field.name for field in fields(cls) if field.init and field.name not in others)
        return cls(**{name: getattr(answer, _camel(name)) for name in names}, **others)


class ForSellers(FieldExtension):
    """Shows costs and margins of the seller to credentials with one of the scopes only.

    Others get null for the field, and an error that names the scope.
    """

    def __init__(self, *scopes: Scope) -> None:
        self._scopes = scopes

    def resolve(self, next_: Any, source: Any, info: strawberry.Info[GraphContext, None], **given: Any) -> Any:
        if not info.context.sees(*self._scopes):
            raise ScopeMissingError(self._scopes[0].value)
        return next_(source, info, **given)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
