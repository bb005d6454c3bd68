"""Request context: request id, log context, access log, internal errors."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from faregate.core.clock import IClock
from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.core.logging import get_logger
from faregate.core.redaction.scrubbing import is_credential
from faregate.gateway.http.envelope import failure
from faregate.gateway.observability.metrics import GatewayMetrics
from faregate.wire.ids import EXTERNAL_ID_PATTERN, new_uuid7_text

__all__ = ["RequestContext"]

log = get_logger(__name__)

_REQUEST_ID = re.compile(EXTERNAL_ID_PATTERN)
_REQUEST_ID_NAME = b"x-request-id"


class RequestContext:
    """Gives each request an id (the caller's `x-request-id` if it is valid), logs its outcome, and answers internal errors."""

    def __init__(self, app: ASGIApp, clock: IClock, metrics: GatewayMetrics, *, access_log: bool) -> None:
        self._app = app
        self._clock = clock
        self._metrics = metrics
        self._log = log.info if access_log else log.debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        bound = bind_contextvars(request_id=request_id)
        try:
            await self._serve(scope, receive, send, request_id)
        finally:
            reset_contextvars(**bound)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began = self._clock.monotonic()
        status = 0
        self._metrics.begin()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_REQUEST_ID_NAME, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                raise
            if not isinstance(error, EngineUnavailableError):
                log.error("request_failed", exc_info=True)
            answer = (
                error
                if isinstance(error, FaregateError)
                else FaregateError("An unexpected error occurred; it has been logged")
            )
            await failure(answer, request_id=request_id)(scope, receive, send_with_id)
        finally:
            self._finish(scope, status, self._clock.monotonic() - began)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log; a client that disconnected before its answer counts as 499."""
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.end(scope["method"] if route != "unknown" else "any", route, status or 499, seconds)
        self._log(
            "request",
            method=scope["method"],
            route=route,
            status=status or 499,
            duration_ms=round(seconds * 1000, 2),
            caller=scope["state"].get("principal"),
            address=scope["client"][0] if scope.get("client") else None,
        )


def _request_id(scope: Scope) -> str:
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == _REQUEST_ID_NAME), None)
    return given if given and _REQUEST_ID.fullmatch(given) and not is_credential(given) else new_uuid7_text()
