"""Charge session: one authorised use of a feature, with its observed usage."""

import os
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from faregate.client.charge_request import ChargeRequest
from faregate.client.errors import InvalidError
from faregate.client.replies.observer import Observer
from faregate.client.values import Authorization, ModelUsage, UseResult
from faregate.wire.clock import monotonic_seconds

__all__ = [
    "ChargeSession",
    "ClosingDecision",
    "Ride",
    "current_charge_session",
    "current_ride",
    "restore_session",
]

T = TypeVar("T")

current_charge_session: ContextVar["ChargeSession | None"] = ContextVar("faregate_charge_session", default=None)
"""The session whose block is running; wrapped SDK clients report their usage to it."""


class ChargeSession:
    """An authorised use of a feature while it runs.

    Attributes:
        metadata: sent with the settlement; the host may add to it.
        blocking: the block belongs to a `SyncCreditsClient`.
        bounded: the session ends with a block of code, rather than with a stream.
    """

    def __init__(self, request: ChargeRequest, authorization: Authorization) -> None:
        self.request = request
        self.authorization = authorization
        self.metadata: dict[str, Any] = dict(request.metadata)
        self.blocking = False
        self.bounded = False
        self._observer = Observer()
        self._stream_observers: list[Observer] = []
        self._void_reason: str | None = None
        self._result: UseResult | None = None
        self._began = monotonic_seconds()
        self._process = os.getpid()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: what a copy observed in another process would be lost."""
        raise TypeError(
            "a charge session cannot be pickled; return the replies to the process that opened it and observe them there"
        )

    @property
    def feature(self) -> str:
        """The feature that is used."""
        return self.request.feature

    @property
    def user_id(self) -> str:
        """The user who uses it."""
        return self.request.user_id

    @property
    def usage_key(self) -> str:
        """The id of this use, for the host's own logs."""
        return self.authorization.usage_key

    @property
    def result(self) -> UseResult:
        """How the use ended: settled, voided, or pending where a queue or the spool settles it later.

        Raises:
            InvalidError: the block has not ended, or its settlement was refused.
        """
        if self._result is None:
            raise InvalidError(
                f"the use {self.usage_key} has no result yet: read `result` after its block; there is none if the settlement "
                "was refused",
                param="result",
            )
        return self._result

    def ended_with(self, result: UseResult) -> None:
        """Set the result."""
        self._result = result

    @property
    def running(self) -> bool:
        """Whether usage observed now is still settled: the session is open and belongs to this process."""
        return not self._observer.closed and self._process == os.getpid()

    @property
    def activity(self) -> int:
        """How many items were observed until now; it grows while a stream delivers."""
        return self._observer.activity + sum(observer.activity for observer in self._stream_observers)

    def observe(self, reply: T, *, model: str | None = None) -> T:
        """Record the usage that a provider's reply, or one chunk of its stream, reports; return the reply.

        The usage of several replies and models is added up. The same reply counts once, however often it is observed.

        Raises:
            UnreadableReplyError: no usage was found in it; use `add`.
            InvalidError: the session has ended.
        """
        self._check_running()
        self._observer.observe(reply, model=model)
        return reply

    def add(
        self,
        model: str,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_5m_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        output_reasoning_tokens: int = 0,
        input_audio_tokens: int = 0,
        output_audio_tokens: int = 0,
        cache_audio_read_tokens: int = 0,
        input_image_tokens: int = 0,
        output_image_tokens: int = 0,
        input_video_tokens: int = 0,
        input_tool_tokens: int = 0,
        audio_seconds: int = 0,
        input_characters: int = 0,
        input_document_pages: int = 0,
        web_searches: int = 0,
        code_executions: int = 0,
        rerank_searches: int = 0,
    ) -> None:
        """Add usage that the host counted itself.

        `input_tokens` and `output_tokens` are totals; the other counts of tokens are parts of them.

        Raises:
            InvalidError: the session has ended.
        """
        self._check_running()
        more = {
            "cache_read_tokens": cache_read_tokens,
            "cache_write_tokens": cache_write_tokens,
            "cache_write_5m_tokens": cache_write_5m_tokens,
            "cache_write_1h_tokens": cache_write_1h_tokens,
            "output_reasoning_tokens": output_reasoning_tokens,
            "input_audio_tokens": input_audio_tokens,
            "output_audio_tokens": output_audio_tokens,
            "cache_audio_read_tokens": cache_audio_read_tokens,
            "input_image_tokens": input_image_tokens,
            "output_image_tokens": output_image_tokens,
            "input_video_tokens": input_video_tokens,
            "input_tool_tokens": input_tool_tokens,
            "audio_seconds": audio_seconds,
            "input_characters": input_characters,
            "input_document_pages": input_document_pages,
            "web_searches": web_searches,
            "code_executions": code_executions,
            "rerank_searches": rerank_searches,
        }
        counted = {name: count for name, count in more.items() if count}
        self._observer.add(ModelUsage(model, input_tokens, output_tokens, more=counted))

    def watch(self, stream: Any, *, model: str | None = None) -> AsyncIterator[Any]:
        """Pass on an async stream and observe each chunk: `async for chunk in use.watch(stream)`.

        Raises:
            InvalidError: the stream is not async, or the session has ended.
        """
        if not hasattr(stream, "__aiter__"):
            raise InvalidError(f"a {type(stream).__name__} is no async stream; use `watch_sync`", param="stream")
        return self._watched_items(stream, self.watcher(model), model)

    def watch_sync(self, stream: Any, *, model: str | None = None) -> Iterator[Any]:
        """Pass on a stream and observe each chunk: `for chunk in use.watch_sync(stream)`.

        Raises:
            InvalidError: the stream is async, or the session has ended.
        """
        if not hasattr(stream, "__iter__"):
            raise InvalidError(f"a {type(stream).__name__} is no plain stream; use `watch`", param="stream")
        return self._watched_sync_items(stream, self.watcher(model), model)

    def watcher(self, model: str | None = None, request_tokens: int | None = None) -> Observer:
        """Return an observer for one request and its stream, whose usage is part of this session.

        Raises:
            InvalidError: the session has ended.
        """
        self._check_running()
        observer = Observer()
        observer.expect(model, request_tokens)
        self._stream_observers.append(observer)
        return observer

    def void(self, reason: str = "voided") -> None:
        """Charge nothing: at the end of the block the hold is voided, even if usage was observed."""
        self._void_reason = reason

    def end(self, failure: BaseException | None) -> "ClosingDecision":
        """End the session and return whether to settle or to void it.

        Args:
            failure: the exception that ended the block; None if it ended normally.
        """
        self._observer.closed = True
        for observer in self._stream_observers:
            self._observer.merge(observer)
        self._stream_observers.clear()
        if self._void_reason is not None:
            return ClosingDecision(void_reason=self._void_reason)
        if failure is not None and self._observer.empty:
            return ClosingDecision(void_reason=type(failure).__name__)
        lines = self._observer.lines(self.request.estimated_usages)
        facts: dict[str, Any] = {"usage_estimated": True} if lines.estimated else {}
        if lines.unread:
            facts["usage_unread"] = list(lines.unread)
        if failure is not None:
            facts["error"] = type(failure).__name__
        duration_ms = round((monotonic_seconds() - self._began) * 1000)
        return ClosingDecision(lines.usages, {**self.metadata, **facts}, duration_ms)

    def _check_running(self) -> None:
        if not self.running:
            raise InvalidError(
                f"the charge session {self.usage_key} has ended or belongs to another process: usage observed now would not "
                "be charged; observe within its block",
                param="use",
            )

    async def _watched_items(self, stream: Any, observer: Observer, model: str | None) -> AsyncIterator[Any]:
        with _watching(observer):
            async for chunk in stream:
                self._check_running()
                observer.observe_chunk(chunk, model=model)
                yield chunk

    def _watched_sync_items(self, stream: Any, observer: Observer, model: str | None) -> Iterator[Any]:
        with _watching(observer):
            for chunk in stream:
                self._check_running()
                observer.observe_chunk(chunk, model=model)
                yield chunk


Ride = ChargeSession
current_ride = current_charge_session
"""Earlier names, kept for hosts that import them."""


@dataclass(frozen=True, slots=True)
class ClosingDecision:
    """How a session is closed: voided if `void_reason` is set, else settled with `usages`."""

    usages: Sequence[ModelUsage] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    duration_ms: int = 0
    void_reason: str | None = None


def restore_session(token: Token[ChargeSession | None]) -> None:
    """Make the session that was current before this one current again.

    Frameworks may leave a block in another context than they entered it (dependencies that yield). There is nothing to
    restore in that context, and the settlement must not fail because of it.
    """
    with suppress(ValueError):
        current_charge_session.reset(token)


@contextmanager
def _watching(observer: Observer) -> Generator[None]:
    """Report to `observer` how its stream ended: complete, with a failure, or left by its reader."""
    try:
        yield
    except Exception:
        observer.fail()
        raise
    except BaseException:
        observer.break_off()
        raise
    observer.end_without_usage()
