"""Declaration of one HTTP call.

A controller declares it once beside its method; routing, authorisation, validation and documentation use it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any, TypeVar, get_origin, get_type_hints

from pydantic import BaseModel
from starlette.requests import Request

from faregate.core.access.portal_links import PortalLink
from faregate.core.errors import FaregateError
from faregate.core.values.fields import ExternalId
from faregate.gateway.http.dialects import Dialect
from faregate.gateway.http.personal import Personal, personal_in
from faregate.gateway.http.routing import held_by
from faregate.gateway.security.auth import Principal, Scope
from faregate.gateway.security.key_caps import spender_of

__all__ = [
    "DRY_RUN_HEADER",
    "JSON",
    "Audit",
    "Call",
    "Controller",
    "Operation",
    "Page",
    "Refusal",
    "Reply",
    "declared",
    "link",
    "operation",
    "operations_of",
]

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

DRY_RUN_HEADER = "x-faregate-dry-run"
JSON = "application/json"
BODY_LIMIT_BYTES = 1024 * 1024


class Audit(Enum):
    """Whether a call is recorded in the audit log."""

    BY_SCOPE = "by scope"
    """Changes are recorded unless their scope is the regular work of products; reads by staff, if they name another user."""

    DEED = "deed"
    """A change that is always recorded, whatever its scope."""

    PERSONAL = "personal"
    """The answer is about people even if the request names nobody: reads by staff are recorded."""

    NEVER = "never"
    """Not recorded: the call changes nothing, whatever its method."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One HTTP call; `operation` explains the parts that a controller declares. Each declaration equals itself only.

    Attributes:
        path_parameters: the type of each, in the order of the path.
        body, query: the types that validate them, taken from the method's annotations.
        consumes: the schema of the body by media type; None where there is no body.
        takes_call: whether the method has the parameter `call`.
    """

    method: str
    path: str
    name: str
    summary: str
    description: str
    tag: str
    scope: Scope | None
    own: str | None
    known: bool
    portal: bool
    answer: Any
    status: int
    also: Mapping[int, Any]
    produces: tuple[str, ...]
    body: Any
    consumes: Mapping[str, Any] | None
    body_limit_bytes: int
    query: type[BaseModel] | None
    path_parameters: Mapping[str, Any]
    errors: tuple[type[FaregateError], ...]
    idempotent: bool
    shown_once: tuple[str, ...]
    concurrency: int | None
    kept: str | None
    links: Mapping[str, Any]
    audit: Audit
    personal: Personal
    rehearsable: bool
    dialect: Dialect | None
    takes_call: bool

    @property
    def paged(self) -> bool:
        """Whether the answer is a list, with `meta.next_cursor`."""
        return get_origin(self.answer) is list

    @property
    def guarded(self) -> bool:
        """Whether the call requires a credential."""
        return self.scope is not None or self.own is not None or self.known or self.portal

    @property
    def id(self) -> str:
        """The unique name of the operation."""
        return f"{self.tag}.{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a controller's method.

    Attributes:
        noted: fields that the controller adds to the target of the call's audit entry.
    """

    request: Request
    principal: Principal
    request_id: str
    noted: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def idempotency_key(self) -> str | None:
        """The caller's `Idempotency-Key`."""
        return self.request.headers.get("idempotency-key")

    @property
    def is_rehearsal(self) -> bool:
        """Whether the call is a dry run: what it does outside its transaction must not happen."""
        return DRY_RUN_HEADER in self.request.headers

    @property
    def derived_key(self) -> str | None:
        """A key for the objects that the call creates, from the credential and its `Idempotency-Key`: equal for each resend."""
        if self.idempotency_key is None:
            return None
        digest = sha256(f"{self.principal.id}\0{self.idempotency_key}".encode()).hexdigest()
        return f"idem:{digest[:40]}"

    @property
    def spender(self) -> str | None:
        """The spender whose limits apply besides the user's own; None for a person, who has no other limits."""
        if self.principal.user_id is not None:
            return None
        return spender_of(self.principal.line) or self.principal.id

    @property
    def visitor(self) -> PortalLink:
        """The link of the visitor of the customers' page."""
        assert self.principal.portal is not None  # noqa: S101  the dispatcher admits nobody else
        return self.principal.portal

    @property
    def prefers_async(self) -> bool:
        """Whether the caller asked for `Prefer: respond-async`."""
        return "respond-async" in self.request.headers.get("prefer", "")

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` when the answer has been sent completely, or could not be sent."""
        held_by(self.request).push_async_callback(close)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: models or mappings, and the cursor of the next page, None on the last one."""

    items: Sequence[Any]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a controller's method; a model, mapping or `Page` alone is short for it."""

    data: Any
    message: str | None = None
    status: int | None = None
    meta: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):  # noqa: N818  it holds an error and is not one itself
    """An error answer with `data` besides the message."""

    def __init__(self, error: FaregateError, data: Mapping[str, Any]) -> None:
        super().__init__(error.detail)
        self.error = error
        self.data = data


class Controller:
    """Answers the operations declared on its methods."""

    async def version(self, arguments: Mapping[str, Any], user_id: str | None) -> str | None:  # noqa: ARG002
        """Return the version of the data behind an answer that may be `kept`; None if it must not be kept."""
        return None


def operation(
    method: str,
    path: str,
    *,
    scope: Scope | None,
    own: str | None = None,
    known: bool = False,
    portal: bool = False,
    answer: Any = None,
    status: int = 200,
    also: Mapping[int, Any] | None = None,
    produces: tuple[str, ...] = (),
    consumes: Mapping[str, Any] | None = None,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    errors: tuple[type[FaregateError], ...] = (),
    idempotent: bool | None = None,
    shown_once: tuple[str, ...] = (),
    concurrency: int | None = None,
    kept: str | None = None,
    links: Mapping[str, Any] | None = None,
    audit: Audit = Audit.BY_SCOPE,
    personal: Personal | None = None,
    rehearsable: bool = False,
    tag: str | None = None,
    dialect: Dialect | None = None,
) -> Callable[[F], F]:
    """Declare a controller's method as the answer to `method path`.

    Its parameters are `call` if it needs the request or the caller, the parameters of the path by name (a plain `str`
    must match the pattern of ids; annotate another type for another form), then optionally `query` (a model) and `body`
    (a model, `Model | list[Model]`, or `RawBody` for streams). The first line of its docstring is the summary, the rest
    the description.

    Args:
        scope: the scope that the credential must have; None for calls that anybody may make. The roles of people are sets of
            scopes (`auth.ROLE_SCOPES`), so that nothing about roles is declared here.
        own: admits people of role `user`, for their own data only: the path parameter or query field that names the
            user. A path with another user's name is answered 404; in the query the name is filled in, or refused.
            `"me"`: no parameter; the method reads `call.principal.user_id`, and servers are refused.
        known: admits every valid credential, whatever its scopes.
        portal: admits only visitors of the customers' page, who are admitted nowhere else; the method reads `call.visitor`.
        answer: the model of `data`; `list[Model]` for a list with `meta.next_cursor` (return a `Page`).
        also: models of `data` for other statuses that a `Reply` may have, by status.
        produces: media types of a download or stream, which has no envelope (return a Starlette response).
        consumes: schema by media type, if the body may be something other than JSON of `body`.
        body_limit_bytes: larger bodies are refused while they are received.
        errors: errors of this call besides those of every call; documented, and checked in tests.
        idempotent: honour `Idempotency-Key`: the answer is stored in the transaction of the call. True for
            every POST that answers 201, unless given.
        shown_once: fields of `data` that hold secrets: they are null in a replayed answer.
        concurrency: how many such calls one process serves at a time; further ones are answered 429.
        kept: the cache for its answers; the controller's `version` identifies the data behind them.
        links: OpenAPI links from the answer to other calls, by name (`link` makes them).
        audit: whether the call is noted in the audit log.
        rehearsable: answers a dry run (`x-faregate-dry-run: true`): the whole call in a transaction that is rolled back.
        personal: which personal data the answer may hold, if the members of its models do not show it.
        tag: the group of the call in the documentation, if it is not the part of the path after `/api/`.
        dialect: the form of answers for another system's clients, which know no envelope (return a Starlette response).
    """

    def declare(function: F) -> F:
        hints = get_type_hints(function, include_extras=True)
        summary, _, description = (inspect.getdoc(function) or "").partition("\n")
        body = hints.get("body")
        function.__operation__ = Operation(  # type: ignore[attr-defined]
            method=method,
            path=path,
            name=function.__name__,
            summary=summary.rstrip("."),
            description=description.strip(),
            tag=tag or (path.split("/")[2] if path.startswith("/api/") else "operations"),
            scope=scope,
            own=own,
            known=known,
            portal=portal,
            answer=answer,
            status=status,
            also=also or {},
            produces=produces,
            body=body,
            consumes=consumes or ({JSON: body} if body is not None else None),
            body_limit_bytes=body_limit_bytes,
            query=hints.get("query"),
            path_parameters={name: ExternalId if hints[name] is str else hints[name] for name in _names(path)},
            errors=errors,
            idempotent=(method == "POST" and status == 201) if idempotent is None else idempotent,
            shown_once=shown_once,
            concurrency=concurrency,
            kept=kept,
            links=links or {},
            audit=audit,
            personal=personal_in(answer, *(also or {}).values()) if personal is None else personal,
            rehearsable=rehearsable,
            dialect=dialect,
            takes_call="call" in hints,
        )
        return function

    return declare


def link(
    target: str,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """Return an OpenAPI link to the operation `target` (its id): which values of this call are which parameters of the other.

    A value is `$request.…` as OpenAPI writes it, or the path of a field in `data` of the answer: `usage_key`, `grant/id`.
    """
    parameters = {
        **{f"path.{name}": _expression(value) for name, value in (path or {}).items()},
        **{f"query.{name}": _expression(value) for name, value in (query or {}).items()},
    }
    sent = {name: _expression(value) for name, value in (body or {}).items()}
    return {
        "operationId": target,
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": sent} if sent else {}),
    }


def declared(method: Callable[..., Awaitable[Any]]) -> Operation:
    """Return the declaration of a controller's method."""
    found: Operation = method.__operation__  # type: ignore[attr-defined]
    return found


def operations_of(controller: Controller) -> list[tuple[Operation, Callable[..., Awaitable[Any]]]]:
    """Return the operations of a controller with their bound methods, in the order of the source."""
    methods = [getattr(controller, name) for name in vars(type(controller))]
    return [(method.__operation__, method) for method in methods if hasattr(method, "__operation__")]


def _expression(value: str) -> str:
    return value if value.startswith("$") else f"$response.body#/data/{value}"


def _names(path: str) -> list[str]:
    return [part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")]
