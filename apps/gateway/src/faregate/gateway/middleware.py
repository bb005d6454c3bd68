"""Around every request: an id, bound log context, an access log, and an answer even where a defect struck."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from faregate.core.clock import IClock
from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.core.ids import EXTERNAL_ID_PATTERN, new_uuid7
from faregate.core.logging import get_logger
from faregate.gateway.envelope import failure

__all__ = ["RequestContext"]

log = get_logger(__name__)

_REQUEST_ID = re.compile(EXTERNAL_ID_PATTERN)


class RequestContext:
    """Gives each request an id (the caller's `x-request-id` if it is one) and logs how it ended."""

    def __init__(self, app: ASGIApp, clock: IClock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        with bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began = self._clock.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                raise
            if not isinstance(error, EngineUnavailableError):
                log.error("request_failed", exc_info=True)
            answer = (
                error if isinstance(error, FaregateError) else FaregateError("Something broke here; it has been logged")
            )
            await failure(answer, request_id=request_id)(scope, receive, send_with_id)
        finally:
            duration = round((self._clock.monotonic() - began) * 1000, 2)
            log.debug("request", method=scope["method"], path=scope["path"], status=status, duration_ms=duration)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(new_uuid7())
