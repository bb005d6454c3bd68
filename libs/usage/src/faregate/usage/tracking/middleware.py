"""`TrackUsage`: ASGI middleware that records a usage event per request."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from faregate.core.clock import IClock, SystemClock
from faregate.core.logging import get_logger
from faregate.usage.events.event import UsageEvent
from faregate.usage.tracking.answers import AnswerReader, reader_for
from faregate.usage.tracking.visitors import country_reader, device_of

__all__ = ["ASGIApp", "IEventRecorder", "TrackUsage", "signed_in"]

log = get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_ANSWER_LIMIT_BYTES = 256 * 1024
_PATH_LIMIT = 200
_NO_STATUS = 499  # the client disconnected before the response


class IEventRecorder(Protocol):
    """A recorder that accepts events without waiting, such as `BufferedRecorder`."""

    def record_nowait(self, event: UsageEvent) -> bool:
        """Accept an event; return False if the buffer is full."""
        ...


def signed_in(scope: Scope) -> str | None:
    """Return the identity of the signed-in user, as set by Starlette's `AuthenticationMiddleware` and similar ones."""
    user = scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    for name in ("identity", "username", "display_name"):
        value = getattr(user, name, None) if name != "identity" else _identity(user)
        if isinstance(value, str) and value:
            return value
    return None


def _identity(user: Any) -> Any:
    try:
        return user.identity
    except (AttributeError, NotImplementedError):
        return None


class TrackUsage:
    """Meters every HTTP request of the wrapped app: time, sizes, status, user, country, device, model and tokens.

    The host's request has priority: each part of a response is passed on as it is sent, nothing waits for the recorder, and
    failures in the middleware are logged and never reach the host. Bodies, addresses and user agents are not stored.

    Args:
        recorder: records the events, usually a `BufferedRecorder` with the lifetime of the host.
        user: returns the user; called at the end of the request, so that authentication in the app has run.
        organization: returns the organisation of the request, if any.
        service: the service used: a name, or a function of the scope; if the function returns None, nothing is recorded.
        paths: only requests at or below these paths are metered; by default all are.
        anonymous: the user id of requests without a user; if None, they are not recorded.
        country_header, country_file: the source of the country; the header must be one that your proxy sets.
        answer_limit_bytes: size of the largest JSON response or server-sent event that is read; 0 reads none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        recorder: IEventRecorder,
        user: Callable[[Scope], str | None] = signed_in,
        organization: Callable[[Scope], str | None] | None = None,
        service: str | Callable[[Scope], str | None] = "http",
        paths: Sequence[str] = (),
        anonymous: str | None = "anonymous",
        country_header: str | None = None,
        country_file: Path | None = None,
        answer_limit_bytes: int = _ANSWER_LIMIT_BYTES,
        clock: IClock | None = None,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._user = user
        self._organization = organization
        self._service = service
        self._paths = tuple(path.rstrip("/") for path in paths)
        self._anonymous = anonymous
        self._country = country_reader(country_header, country_file)
        self._answer_limit_bytes = answer_limit_bytes
        self._clock = clock or SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._is_metered(scope["path"]):
            await self._app(scope, receive, send)
            return
        seen = _Seen(self._answer_limit_bytes)
        began = self._clock.monotonic()

        async def received() -> Message:
            message = await receive()
            seen.request_bytes += len(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            await send(message)
            seen.observe(message)

        try:
            await self._app(scope, received, sent)
        except Exception:
            seen.status = seen.status or 500
            raise
        finally:
            self._record(scope, seen, self._clock.monotonic() - began)

    def _is_metered(self, path: str) -> bool:
        return not self._paths or any(path == one or path.startswith(f"{one}/") for one in self._paths)

    def _record(self, scope: Scope, seen: "_Seen", seconds: float) -> None:
        try:
            event = self._event(scope, seen, seconds)
            if event is not None and not self._recorder.record_nowait(event):
                log.warning("usage_event_dropped", reason="the buffer is full")
        except Exception as error:  # noqa: BLE001  a failure here must not affect the host's request
            log.warning("usage_not_tracked", error=repr(error))

    def _event(self, scope: Scope, seen: "_Seen", seconds: float) -> UsageEvent | None:
        service = self._service if isinstance(self._service, str) else self._service(scope)
        user_id = self._user(scope) or self._anonymous
        if service is None or user_id is None:
            return None
        headers = dict(scope.get("headers", ()))
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        device, platform = device_of(agent)
        model, tokens = seen.usage()
        return UsageEvent(
            kind="request",
            user_id=user_id,
            organization_id=self._organization(scope) if self._organization is not None else None,
            service=service,
            model=model,
            provider=seen.reader.provider if seen.reader is not None else None,
            input_tokens=tokens.get("input_tokens", 0),
            output_tokens=tokens.get("output_tokens", 0),
            latency_ms=round(seconds * 1000),
            status=seen.status or _NO_STATUS,
            country=self._country(headers, (scope.get("client") or (None,))[0]) if self._country is not None else None,
            device=device,
            metadata={
                "method": scope["method"],
                "path": _template(scope),
                "request_bytes": seen.request_bytes,
                "response_bytes": seen.response_bytes,
                **({"platform": platform} if platform is not None else {}),
            },
            time=self._clock.now(),
        )


class _Seen:
    """What was sent and received in one request."""

    __slots__ = ("_done", "_limit_bytes", "reader", "request_bytes", "response_bytes", "status")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._done = False
        self.reader: AnswerReader | None = None
        self.request_bytes = self.response_bytes = 0
        self.status: int | None = None

    def observe(self, message: Message) -> None:
        """Count a message that was sent, and read its usage."""
        try:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.reader = reader_for(dict(message.get("headers", ())), limit_bytes=self._limit_bytes)
            elif message["type"] == "http.response.body":
                part = message.get("body", b"")
                self.response_bytes += len(part)
                if self.reader is not None:
                    self.reader.take(part)
        except Exception as error:  # noqa: BLE001  a response that cannot be parsed is skipped
            self.reader = None
            log.warning("answer_not_read", error=repr(error))

    def usage(self) -> tuple[str | None, dict[str, int]]:
        """Return the model and the tokens that the response names."""
        if self.reader is None:
            return None, {}
        self.reader.end()
        return self.reader.model, self.reader.tokens


def _template(scope: Scope) -> str:
    """Return the path template of the host's router (`/items/{id}`), or the requested path if there is none."""
    path = getattr(scope.get("route"), "path", None)
    return (path if isinstance(path, str) else str(scope["path"]))[:_PATH_LIMIT]
