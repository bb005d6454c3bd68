"""Audit entries of HTTP calls.

The audit log records every administrative action, every action on money, and each read of personal data by staff.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from faregate.core.access.audit import Deed, fingerprint
from faregate.core.db.ambient_transaction import outside_transaction
from faregate.core.errors import NotFoundError
from faregate.gateway.http.envelope import ContentResponse
from faregate.gateway.http.operation import Audit, Call, Operation
from faregate.gateway.security.auth import Principal, Scope
from faregate.gateway.security.client_address import address_of
from faregate.wire import exact_json

__all__ = ["Auditor", "look_deed", "reads_of_others"]

_DAILY_WORK = frozenset({Scope.CREDITS_PROCESS, Scope.USAGE_WRITE, Scope.LOGS_WRITE, None})
"""Scopes of the regular work of products: the ledger and the feature logs themselves record who did it."""

_PERSONAL = frozenset({Scope.USAGE_READ, Scope.WALLETS_READ, Scope.LOGS_READ, Scope.ANALYTICS_READ})
_STAFF_ONLY = frozenset({Scope.LOGS_READ, Scope.OPS_READ, Scope.DEAD_LETTERS_READ, Scope.PRIVACY_READ})
"""Scopes that only administrators hold: reads of personal data with these scopes are recorded for API keys, too."""

_OWN_DEPTH = 100
"""An answer may contain a whole request body, which alone may be as deep as a body is allowed to be."""

_OWNERS = ("owner_id", "user_id", "userId")

_Read = Callable[[], Awaitable[Any]]


class Auditor:
    """Decides whether a call is recorded, and builds its audit entry.

    Args:
        read: reads the object that a PUT or DELETE is about to change (the GET of the same path), where there is such a GET.
    """

    def __init__(
        self, operation: Operation, principal: Principal, arguments: Mapping[str, Any], read: _Read | None
    ) -> None:
        self._operation = operation
        self._arguments = arguments
        self._read = read
        self._before: bytes | None = None
        self.writes = _is_deed(operation)
        self.reads = operation.method == "GET" and reads_of_others(operation, principal, self._owner())

    async def read_before(self) -> None:
        """Store the hash of the object as it is before the call."""
        if self._read is None:
            return
        try:
            with outside_transaction():
                self._before = fingerprint(await self._read())
        except NotFoundError:
            self._before = None

    def deed(self, call: Call, response: Response) -> Deed:
        """Return the audit entry of the call."""
        after = _data(response) if self.writes and self._operation.method != "DELETE" else None
        principal, request = call.principal, call.request
        return Deed(
            actor="user" if principal.user_id is not None else principal.id,
            actor_user_id=principal.user_id,
            action=self._operation.id,
            owner_id=self._owner() or self._owner_in(response),
            target={**self._target(), **call.noted},
            status=response.status_code,
            before_hash=self._before,
            after_hash=fingerprint(after) if after is not None else None,
            address=_address(request),
            request_id=call.request_id,
            is_look=self.reads,
        )

    def without_secrets(self, response: Response) -> bytes:
        """Return the body of an answer as it may be stored, with null in the fields that are shown once."""
        if not self._operation.shown_once:
            return bytes(response.body)
        content = _content(response)
        data = {**_fields(content["data"]), **dict.fromkeys(self._operation.shown_once)}
        return exact_json.dumps({**content, "data": data})

    def _owner_in(self, response: Response) -> str | None:
        """Return the user that an answer is about, where the request names none: one feature log, one use."""
        return _fields(_data(response)).get("user_id") if self.reads else None

    def _owner(self) -> str | None:
        places = (self._arguments, _fields(self._arguments.get("query")), _fields(self._arguments.get("body")))
        for place in places:
            found = next((place[name] for name in _OWNERS if place.get(name)), None)
            if found is not None:
                return str(found)
        organization = next((place["organization_id"] for place in places if place.get("organization_id")), None)
        return f"org:{organization}" if organization else None

    def _target(self) -> dict[str, Any]:
        names = [name for name in self._operation.path_parameters if name not in (*_OWNERS, "organization_id")]
        return {name: str(self._arguments[name]) for name in names}


def reads_of_others(operation: Operation, principal: Principal, named: str | None) -> bool:
    """Tell whether a read is recorded: one by staff of the data of somebody else, `named` if the request names them."""
    scope = operation.scope
    if scope is None or not principal.may(scope) or (named is not None and named == principal.user_id):
        return False
    if operation.audit is Audit.PERSONAL:
        return principal.user_id is not None or scope in _STAFF_ONLY
    return principal.user_id is not None and scope in _PERSONAL and named is not None


def look_deed(operation: Operation, call: Call, owner_id: str | None, target: Mapping[str, Any]) -> Deed:
    """Return the audit entry of a read that is made in another way than by its own call."""
    principal = call.principal
    return Deed(
        actor="user" if principal.user_id is not None else principal.id,
        actor_user_id=principal.user_id,
        action=operation.id,
        owner_id=owner_id,
        target=target,
        status=200,
        address=_address(call.request),
        request_id=call.request_id,
        is_look=True,
    )


def _is_deed(operation: Operation) -> bool:
    if operation.audit is not Audit.BY_SCOPE:
        return operation.audit is Audit.DEED
    return operation.method != "GET" and operation.scope not in _DAILY_WORK


def _address(request: Request) -> str | None:
    """Return the caller's network address; None without one, as on a Unix socket."""
    found = address_of(request.client.host) if request.client is not None else None
    return str(found) if found is not None else None


def _fields(value: Any) -> Mapping[str, Any]:
    """Return the fields of a model or mapping; none of anything else."""
    if isinstance(value, BaseModel):
        return dict(value)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _data(response: Response) -> Any:
    if response.media_type != "application/json":
        return None
    return _content(response)["data"]


def _content(response: Response) -> Mapping[str, Any]:
    """Return the content of a JSON answer; its body is parsed only if it comes from a cache."""
    if isinstance(response, ContentResponse):
        return response.content
    parsed: Mapping[str, Any] = exact_json.loads(bytes(response.body), depth_limit=_OWN_DEPTH, mend=True)
    return parsed
