"""What one HTTP call is: declared once beside its method, used for routing, guarding, validating and documenting."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel
from starlette.requests import Request

from faregate.core.errors import FaregateError
from faregate.gateway.auth import Principal, Scope

__all__ = ["Call", "Controller", "Operation", "Refusal", "Reply", "operation", "operations_of"]

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Operation:
    """One HTTP call.

    Attributes:
        scope: what the credential must include; None for calls that anybody may make.
        body, query: the models that validate them, taken from the method's annotations.
        answer: the model of `data` in the envelope.
    """

    method: str
    path: str
    name: str
    summary: str
    scope: Scope | None
    answer: type[BaseModel] | None
    status: int
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    path_parameters: tuple[str, ...]
    errors: tuple[type[FaregateError], ...]
    tag: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through a controller."""

    request: Request
    principal: Principal
    request_id: str

    @property
    def idempotency_key(self) -> str | None:
        """The caller's `Idempotency-Key`."""
        return self.request.headers.get("idempotency-key")

    @property
    def prefers_async(self) -> bool:
        """Whether the caller asked for `Prefer: respond-async`."""
        return "respond-async" in self.request.headers.get("prefer", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a controller answers; a bare model or mapping is short for `Reply(data)`."""

    data: Any
    message: str | None = None
    status: int | None = None
    meta: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):  # noqa: N818  it carries an error, it is none
    """A refusal with something to say in `data` beside the message."""

    def __init__(self, error: FaregateError, data: Mapping[str, Any]) -> None:
        super().__init__(error.detail)
        self.error = error
        self.data = data


class Controller:
    """Answers the operations declared on its methods."""


def operation(
    method: str,
    path: str,
    *,
    scope: Scope | None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    errors: tuple[type[FaregateError], ...] = (),
) -> Callable[[F], F]:
    """Declare a controller's method as the answer to `method path`.

    Its parameters after `call` are the path's by name, then optionally `body` and `query`, each annotated with the
    pydantic model that validates it. The first line of its docstring is the summary.
    """

    def declare(function: F) -> F:
        hints = get_type_hints(function)
        tag = path.split("/")[2] if path.startswith("/api/") else "operations"
        declared = Operation(
            method=method,
            path=path,
            name=function.__name__,
            summary=(inspect.getdoc(function) or "").partition("\n")[0].rstrip("."),
            scope=scope,
            answer=answer,
            status=status,
            body=hints.get("body"),
            query=hints.get("query"),
            path_parameters=tuple(
                part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")
            ),
            errors=errors,
            tag=tag,
        )
        function.__operation__ = declared  # type: ignore[attr-defined]
        return function

    return declare


def operations_of(controller: Controller) -> list[tuple[Operation, Callable[..., Awaitable[Any]]]]:
    """Return the operations of a controller with their bound methods, in the order of the source."""
    methods = [getattr(controller, name) for name in vars(type(controller))]
    return [(method.__operation__, method) for method in methods if hasattr(method, "__operation__")]
