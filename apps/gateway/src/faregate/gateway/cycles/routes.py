"""Routes of the Cycles protocol.

Its header of credentials, its errors and its trace ids; answers have no envelope.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from secrets import token_hex
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from faregate.core.access.idempotency import IdempotencyStore, StoredAnswer
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError, MalformedError
from faregate.gateway.cycles.bodies import (
    LEVELS,
    CyclesCommitBody,
    CyclesCreateBody,
    CyclesDecideBody,
    CyclesEventBody,
    CyclesExtendBody,
    CyclesReleaseBody,
    SubjectBody,
)
from faregate.gateway.cycles.errors import CyclesError, translated
from faregate.gateway.cycles.service import CyclesService
from faregate.gateway.errors import TooLargeError
from faregate.gateway.http.body import BODY_LIMIT_BYTES
from faregate.gateway.http.rate_limits import RateLimiter
from faregate.gateway.http.replica_reads import ReplicaReads
from faregate.gateway.security.auth import IAuthenticator, Principal, Scope
from faregate.wire import exact_json

__all__ = ["CyclesRoutes"]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")

B = TypeVar("B", bound=BaseModel)
_Answer = Callable[[Principal, Request], Awaitable[tuple[int, Mapping[str, Any]]]]


class CyclesRoutes:
    """Serves the operations of the protocol. A credential needs the scope `credits:process`."""

    def __init__(
        self,
        authenticator: IAuthenticator,
        limits: RateLimiter,
        service: CyclesService,
        database: Database,
        store: IdempotencyStore,
        replica: ReplicaReads,
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._service = service
        self._database = database
        self._store = store
        self._replica = replica

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        one = "/v1/reservations/{reservation_id}"
        return [
            self._route("/v1/decide", "POST", self._decide),
            self._route("/v1/reservations", "POST", self._create),
            self._route("/v1/reservations", "GET", self._list),
            self._route(f"{one}/commit", "POST", self._commit),
            self._route(f"{one}/release", "POST", self._release),
            self._route(f"{one}/extend", "POST", self._extend),
            self._route(one, "GET", self._get),
            self._route("/v1/events", "POST", self._event),
            self._route("/v1/balances", "GET", self._balances),
        ]

    def _route(self, path: str, method: str, answer: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            trace_id = _trace_id(request.headers)
            try:
                status, content = await self._answered(answer, request)
                response = _json(status, content)
            except CyclesError as refusal:
                response = _failure(refusal, request, trace_id)
            except FaregateError as error:
                response = _failure(translated(error), request, trace_id)
            response.headers["x-cycles-trace-id"] = trace_id
            return response

        return Route(path, endpoint, methods=[method])

    async def _answered(self, answer: _Answer, request: Request) -> tuple[int, Mapping[str, Any]]:
        principal = await self._principal(request)
        try:
            return await answer(principal, request)
        finally:
            if request.method != "GET":
                await self._replica.note(principal)

    async def _principal(self, request: Request) -> Principal:
        key = request.headers.get("x-cycles-api-key")
        headers = {**request.headers, **({"x-server-api-key": key} if key else {})}
        address = request.client.host if request.client else None
        principal = await self._authenticator.authenticate(headers, address=address)
        request.scope["state"]["principal"] = principal.id
        principal.enter(Scope.CREDITS_PROCESS)
        await self._limits.count(principal, reading=request.method == "GET")
        return principal

    async def _create(self, principal: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        body = await _body(request, CyclesCreateBody)
        if not body.dry_run:
            return 200, await self._service.create(principal, body)
        return 200, await self._once(principal, "dry-run", body, lambda: self._service.create(principal, body))

    async def _commit(self, _: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        return 200, await self._service.commit(_id(request), await _body(request, CyclesCommitBody))

    async def _release(self, _: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        return 200, await self._service.release(_id(request), await _body(request, CyclesReleaseBody))

    async def _extend(self, principal: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        body, reservation_id = await _body(request, CyclesExtendBody), _id(request)
        endpoint = f"extend {reservation_id}"
        answer = await self._once(principal, endpoint, body, lambda: self._service.extend(reservation_id, body))
        return 200, {**answer, "remaining_ttl_ms": await self._service.remaining_ms(reservation_id, answer)}

    async def _decide(self, principal: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        body = await _body(request, CyclesDecideBody)
        return 200, await self._once(principal, "decide", body, lambda: self._service.decide(principal, body))

    async def _event(self, principal: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        return 201, await self._service.apply(principal, await _body(request, CyclesEventBody))

    async def _get(self, _: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        return 200, await self._service.get(_id(request))

    async def _list(self, _: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        key = request.query_params.get("idempotency_key")
        if not key:
            raise CyclesError(
                400,
                "INVALID_REQUEST",
                "reservations are found by idempotency_key only; holds are listed by /api/lookups",
            )
        return 200, await self._service.find(_subject(request), key)

    async def _balances(self, _: Principal, request: Request) -> tuple[int, Mapping[str, Any]]:
        return 200, await self._service.balances(_subject(request))

    async def _once(
        self, principal: Principal, endpoint: str, body: Any, make: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """Return the answer of the first request with this key, which is stored in the transaction of what it changed."""
        credential = sha256(f"cycles {principal.id}".encode()).hexdigest()[:32]
        key = sha256(f"{endpoint}\0{body.idempotency_key}".encode()).hexdigest()
        asked = sha256(exact_json.dumps(body.model_dump(mode="json"))).digest()
        stored = await self._store.find(credential, key, asked)
        if stored is not None:
            return exact_json.mapping(exact_json.loads(stored.body))

        async def together(session: Any) -> Mapping[str, Any]:
            answer = await make()
            if not await self._store.keep(session, credential, key, StoredAnswer(asked, 200, exact_json.dumps(answer))):
                raise CyclesError(
                    500, "INTERNAL_ERROR", "a concurrent request has the same idempotency_key; send it again"
                )
            return answer

        return await self._database.run_joined(together)


async def _body(request: Request, kind: type[B]) -> B:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > BODY_LIMIT_BYTES:
            raise TooLargeError(BODY_LIMIT_BYTES)
    try:
        body = _validated(kind, exact_json.loads(bytes(content)))
    except MalformedError as error:
        raise CyclesError(400, "INVALID_REQUEST", error.detail) from error
    header = request.headers.get("x-idempotency-key")
    if header is not None and header != getattr(body, "idempotency_key", header):
        raise CyclesError(400, "INVALID_REQUEST", "X-Idempotency-Key and idempotency_key differ; send the same")
    return body


def _validated(kind: type[B], value: Any) -> B:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "body"
        text = problem["msg"].removeprefix("Value error, ")
        raise CyclesError(400, "INVALID_REQUEST", f"{place}: {text}", {"field": place}) from None


def _subject(request: Request) -> SubjectBody:
    named = {level: request.query_params[level] for level in LEVELS if level in request.query_params}
    return _validated(SubjectBody, named)


def _id(request: Request) -> str:
    return str(request.path_params["reservation_id"])


def _trace_id(headers: Mapping[str, str]) -> str:
    """Return the id of the caller's trace, by the protocol's order of headers; a new one if there is none that is valid."""
    if match := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        return match[1]
    given = headers.get("x-cycles-trace-id", "")
    return given if _TRACE_ID.fullmatch(given) else token_hex(16)


def _failure(refusal: CyclesError, request: Request, trace_id: str) -> Response:
    content: dict[str, Any] = {
        "error": refusal.code,
        "message": refusal.message,
        "request_id": request.scope["state"]["request_id"],
        "trace_id": trace_id,
    }
    response = _json(refusal.status, content | ({"details": refusal.details} if refusal.details else {}))
    if refusal.retry_after_seconds is not None:
        response.headers["retry-after"] = str(refusal.retry_after_seconds)
        response.headers["x-ratelimit-reset"] = str(refusal.retry_after_seconds)
    return response


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(exact_json.dumps(content), status_code=status, media_type="application/json")
