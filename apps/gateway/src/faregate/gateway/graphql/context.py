"""Context of one GraphQL request: caller, services, loaders, reads."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import strawberry

from faregate.analytics.question.filters import Question
from faregate.core.errors import NotFoundError
from faregate.gateway.graphql.loaders import Loaders
from faregate.gateway.graphql.services import GraphServices
from faregate.gateway.http.auditing import reads_of_others
from faregate.gateway.http.operation import Call, Operation, declared
from faregate.gateway.security.auth import Principal, Scope

__all__ = ["GraphContext", "GraphInfo"]

_AT_ONCE = 2
"""How many services one request calls at a time: each takes a connection of the pool, which all requests share."""


@dataclass(slots=True)
class GraphContext:
    """Decides what the caller may read by the declarations of the HTTP calls that answer the same.

    Attributes:
        loaders: what reads for all objects of a list at once.
        slots: held while a service is called.
        looks: the reads to record in the audit log: the declaration and the user or organisation concerned.
        questions: the questions to analytics; each says what was left out of its answers.
    """

    call: Call
    services: GraphServices
    slots: AbstractAsyncContextManager[Any] = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    looks: dict[tuple[str, str | None], Operation] = field(default_factory=dict[tuple[str, str | None], Operation])
    questions: list[Question] = field(default_factory=list[Question])
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.services, self.slots)

    @property
    def principal(self) -> Principal:
        """The caller."""
        return self.call.principal

    def enter(self, twin: Callable[..., Awaitable[Any]], *, owner_id: str | None = None) -> None:
        """Raise unless the caller may read this from `twin`, the method that answers the same over HTTP, and note the read.

        Raises:
            ScopeMissingError, ForbiddenError: the credential may not.
            NotFoundError: the data of `owner_id` are not the caller's own.
        """
        operation = declared(twin)
        principal = self.principal
        principal.enter(operation.scope, own=operation.own)
        if not principal.may(operation.scope) and owner_id != principal.user_id:
            raise NotFoundError("Not found, or not yours")
        if reads_of_others(operation, principal, owner_id):
            self.looks[operation.id, owner_id] = operation

    def sees(self, *scopes: Scope) -> bool:
        """Tell whether the credential has one of these scopes."""
        return any(self.principal.may(scope) for scope in scopes)


GraphInfo: TypeAlias = strawberry.Info[GraphContext, None]
