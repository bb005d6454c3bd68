"""Request dispatcher: authentication, validation, the controller's method, the envelope.

No decision about money is made here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from faregate.core.db.read_scope import repeated_on_primary
from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.core.logging import get_logger
from faregate.gateway.errors import ForbiddenError, UnauthenticatedError
from faregate.gateway.http.arguments import arguments_of
from faregate.gateway.http.auditing import Auditor
from faregate.gateway.http.envelope import failure, success
from faregate.gateway.http.operation import Call, Controller, Operation, Page, Refusal, Reply, operations_of
from faregate.gateway.http.rate_limits import RateLimiter
from faregate.gateway.http.replica_reads import LAG_HEADER, ReplicaReads, only_reads
from faregate.gateway.http.response_cache import ResponseCache
from faregate.gateway.http.routing import Endpoint, held_by, routes_of
from faregate.gateway.http.unit_of_work import UnitOfWork
from faregate.gateway.security.auth import IAuthenticator, Principal
from faregate.gateway.security.sessions import check_same_site

__all__ = ["Dispatcher"]

log = get_logger(__name__)

Method = Callable[..., Awaitable[Any]]

_SIGN_IN = "session.sign_in"
_ANYBODY = Principal("anybody", frozenset())


class Dispatcher:
    """Builds the routes of controllers."""

    def __init__(
        self,
        authenticator: IAuthenticator,
        limits: RateLimiter,
        work: UnitOfWork,
        answers: ResponseCache,
        replica: ReplicaReads,
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._work = work
        self._answers = answers
        self._replica = replica
        self._reads: dict[str, tuple[Operation, Method]] = {}

    def routes(self, controllers: Iterable[Controller]) -> list[BaseRoute]:
        """Return the routes to all operations of the controllers."""
        paths: dict[str, dict[str, Endpoint]] = {}
        for controller in controllers:
            for operation, method in operations_of(controller):
                if operation.method == "GET" and operation.query is None:
                    self._reads[operation.path] = operation, method
                paths.setdefault(operation.path, {})[operation.method] = self._endpoint(operation, method, controller)
        return routes_of(paths)

    def _endpoint(self, operation: Operation, method: Method, controller: Controller) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            request_id = request.scope["state"]["request_id"]
            try:
                response = await self._serve(operation, method, controller, request)
            except Refusal as refusal:
                response = failure(refusal.error, request_id=request_id, data=refusal.data)
            except FaregateError as error:
                if isinstance(error, EngineUnavailableError):
                    log.warning("engine_unavailable", reason=error.detail)
                dialect = operation.dialect
                response = dialect.failure(error, request) if dialect else failure(error, request_id=request_id)
            if left := request.scope["state"].get("left"):
                response.headers.update(left)
            return response

        return endpoint

    async def _serve(self, operation: Operation, method: Method, controller: Controller, request: Request) -> Response:
        principal = await self._principal(operation, request)
        if not self._replica.is_used:
            return await self._answered(operation, method, controller, request, principal)
        async with self._replica.scope(operation, principal) as scope:
            response = await self._answered(operation, method, controller, request, principal)
        if scope.lag_seconds is not None:
            response.headers[LAG_HEADER] = str(scope.lag_seconds)
        return response

    async def _answered(
        self, operation: Operation, method: Method, controller: Controller, request: Request, principal: Principal
    ) -> Response:
        if operation.guarded:
            request.scope["state"]["left"] = await self._limits.take(principal, operation)
        if operation.concurrency is not None:  # held until the answer is sent, because a stream may take long
            held_by(request).enter_context(self._limits.slot(operation))
        arguments = await arguments_of(operation, request, principal)
        call = Call(request, principal, request.scope["state"]["request_id"])

        async def make() -> Response:
            return _response(operation, await _called(operation, method, call, arguments), _meta(arguments))

        async def answer() -> Response:
            if operation.kept is None:
                return await make()
            version = await controller.version(arguments, principal.user_id)
            return await self._answers.answer(operation.kept, _question(operation, call), version, make)

        auditor = Auditor(operation, principal, arguments, self._reader(operation, call, arguments))
        answered = partial(repeated_on_primary, answer) if only_reads(operation) else answer
        return await self._work.run(operation, call, arguments, answered, auditor)

    def _reader(
        self, operation: Operation, call: Call, arguments: Mapping[str, Any]
    ) -> Callable[[], Awaitable[Any]] | None:
        """Return a function that reads the object which `operation` is about to change; None without one."""
        read = self._reads.get(operation.path) if operation.method in {"PUT", "PATCH", "DELETE"} else None
        if read is None:
            return None
        named = {name: arguments[name] for name in operation.path_parameters}

        async def read_current() -> Any:
            return _content(await _called(*read, call, named))

        return read_current

    async def _principal(self, operation: Operation, request: Request) -> Principal:
        if not operation.guarded:
            return _ANYBODY
        address = request.client.host if request.client else None
        try:
            principal = await self._authenticator.authenticate(request.headers, address=address)
        except UnauthenticatedError:
            await self._limits.refuse(address)
            raise
        request.scope["state"]["principal"] = principal.id
        check_same_site(principal, request)
        _admit(principal, operation)
        return principal


def _admit(principal: Principal, operation: Operation) -> None:
    """Raise unless the caller may make this call: visitors of the customers' page make its calls, and only they do."""
    if operation.portal != (principal.portal is not None):
        raise ForbiddenError(
            "The calls of the customers' page need one of its links, and a link is good for nothing else; see "
            "POST /api/portal/links"
        )
    if principal.sign_in_link is not None and operation.id != _SIGN_IN:
        raise ForbiddenError("A link that signs in is good for POST /api/session only, and only once")
    if not operation.known and not operation.portal:
        principal.enter(operation.scope, own=operation.own)


def _called(operation: Operation, method: Method, call: Call, arguments: Mapping[str, Any]) -> Awaitable[Any]:
    return method(call, **arguments) if operation.takes_call else method(**arguments)


def _question(operation: Operation, call: Call) -> str:
    asked = sorted(call.request.query_params.multi_items())
    asker = call.principal.user_id if operation.own is not None else None
    return repr((operation.id, call.request.url.path, asked, asker))


def _content(answer: Any) -> Any:
    data = answer.data if isinstance(answer, Reply) else answer
    return list(data.items) if isinstance(data, Page) else data


def _meta(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments add to `meta` of the answer."""
    query = arguments.get("query")
    return {} if query is None else dict(getattr(query, "answer_meta", {}))


def _response(operation: Operation, answer: Any, meta: Mapping[str, Any]) -> Response:
    if isinstance(answer, Response):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    if meta:
        reply = replace(reply, meta={**(reply.meta or {}), **meta})
    if isinstance(reply.data, Page):
        reply = Reply(
            list(reply.data.items),
            message=reply.message,
            status=reply.status,
            meta={"next_cursor": reply.data.next_cursor, **(reply.meta or {})},
            headers=reply.headers,
        )
    elif operation.paged and reply.meta is None:
        reply = Reply(reply.data, reply.message, reply.status, {"next_cursor": None}, reply.headers)
    return success(
        reply.data,
        message=reply.message or str(getattr(reply.data, "message", "OK")),
        status=reply.status or operation.status,
        meta=reply.meta,
        headers=reply.headers,
    )
