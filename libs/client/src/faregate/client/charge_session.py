"""One use of a feature as a block of code: tap in, ride, tap out."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

from faregate.client.errors import CreditsError, InvalidCall
from faregate.client.replies.observer import Observer
from faregate.client.values import Accepted, Authorization, ModelUsage, Settlement, Voided
from faregate.wire.clock import monotonic_seconds

__all__ = ["Charge", "Estimate", "Ride", "RideRequest", "current_ride", "leave"]

T = TypeVar("T")
log = logging.getLogger("faregate.client")

Estimate = Decimal | int | Sequence[ModelUsage] | None
"""Credits, or what the models will do."""

Outcome = Settlement | Accepted | Voided

current_ride: ContextVar["Ride | None"] = ContextVar("faregate_ride", default=None)
"""The ride whose block is running; what `wrap` made tells it."""


@dataclass(frozen=True, slots=True)
class RideRequest:
    """What is to be authorised."""

    feature: str
    user_id: str
    usage_key: str
    estimate: Estimate = None
    organization_id: str | None = None
    user_email: str | None = None
    ttl_seconds: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def estimated_usages(self) -> Sequence[ModelUsage]:
        """The estimate, if it is one of models."""
        return self.estimate if isinstance(self.estimate, Sequence) else ()

    @property
    def estimated_credits(self) -> Decimal | None:
        """The estimate, if it is one of credits."""
        return Decimal(self.estimate) if isinstance(self.estimate, Decimal | int) else None


class ITill(Protocol):
    """What a ride needs of the client."""

    async def tap_in(self, request: RideRequest) -> Authorization: ...

    async def tap_out(
        self, ride: "Ride", usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> Settlement | Accepted: ...

    async def turn_back(self, ride: "Ride", reason: str) -> Voided: ...

    async def keep_open(self, ride: "Ride") -> None: ...

    def keep(
        self, ride: "Ride", usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> None: ...

    def opened(self, charge: "Charge") -> None: ...

    def closed(self, charge: "Charge") -> None: ...


class Ride:
    """A use that is authorised and runs.

    Attributes:
        outcome: after the block, what came of it: a `Settlement`, `Accepted` (a queue or the spool has it), or `Voided`.
        metadata: goes along with the settlement; add to it what you like.
        blocking: the block is one of a `SyncCreditsClient`.
        bounded: a block of code bounds it, rather than a stream.
    """

    def __init__(self, request: RideRequest, authorization: Authorization) -> None:
        self.request = request
        self.authorization = authorization
        self.metadata: dict[str, Any] = dict(request.metadata)
        self.outcome: Outcome | None = None
        self.blocking = False
        self.bounded = False
        self._observer = Observer()
        self._watched: list[Observer] = []
        self._void_reason: str | None = None
        self._began = monotonic_seconds()
        self._process = os.getpid()

    def __reduce__(self) -> NoReturn:
        """Refuse: what a copy in another process observed would be lost."""
        raise TypeError(
            "a ride cannot be pickled; return the replies to the process of the block and observe them there"
        )

    @property
    def feature(self) -> str:
        """The feature that is used."""
        return self.request.feature

    @property
    def user_id(self) -> str:
        """Who uses it."""
        return self.request.user_id

    @property
    def usage_key(self) -> str:
        """The id of this use, for your own logs."""
        return self.authorization.usage_key

    @property
    def running(self) -> bool:
        """Whether what is observed now is still settled: the block goes on, in this process."""
        return not self._observer.closed and self._process == os.getpid()

    @property
    def stirred(self) -> int:
        """How much was observed until now; grows while something comes."""
        return self._observer.stirred + sum(watched.stirred for watched in self._watched)

    def observe(self, reply: T, *, model: str | None = None) -> T:
        """Take note of what a provider's reply, or one chunk of its stream, says it used; return it.

        Several replies of several models add up. The same reply twice counts once.

        Raises:
            UnreadableReply: no usage was found in it; use `add`.
            InvalidCall: the ride has ended.
        """
        self._check_running()
        self._observer.see(reply, model=model)
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
        """Add a use that you counted yourself; `input_tokens` and `output_tokens` are totals, the others parts of them."""
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
        """Pass an async stream on, observing each chunk: `async for chunk in ride.watch(stream)`.

        Raises:
            InvalidCall: the stream is not async, or the ride has ended.
        """
        if not hasattr(stream, "__aiter__"):
            raise InvalidCall(f"a {type(stream).__name__} is no async stream; use `watch_sync`", param="stream")
        return self._watched_items(stream, self.watcher(model), model)

    def watch_sync(self, stream: Any, *, model: str | None = None) -> Iterator[Any]:
        """Pass a stream on, observing each chunk: `for chunk in ride.watch_sync(stream)`.

        Raises:
            InvalidCall: the stream is async, or the ride has ended.
        """
        if not hasattr(stream, "__iter__"):
            raise InvalidCall(f"a {type(stream).__name__} is no plain stream; use `watch`", param="stream")
        return self._watched_sync_items(stream, self.watcher(model), model)

    def watcher(self, model: str | None = None, asked: int | None = None) -> Observer:
        """Return an observer of one request and its stream, whose sightings count for this ride.

        Raises:
            InvalidCall: the ride has ended.
        """
        self._check_running()
        observer = Observer()
        observer.expect(model, asked)
        self._watched.append(observer)
        return observer

    def void(self, reason: str = "voided") -> None:
        """Ask for no charge: at the end of the block the hold is closed unused, whatever was observed."""
        self._void_reason = reason

    def tally(self, failure: BaseException | None) -> "Tally":
        """Return what is to be done at the end of the block, given how it ended. The ride ends with it."""
        self._observer.closed = True
        for watched in self._watched:
            self._observer.take(watched)
        self._watched.clear()
        if self._void_reason is not None:
            return Tally(void_reason=self._void_reason)
        if failure is not None and self._observer.empty:
            return Tally(void_reason=type(failure).__name__)
        lines = self._observer.lines(self.request.estimated_usages)
        facts: dict[str, Any] = {"usage_estimated": True} if lines.estimated else {}
        if lines.unread:
            facts["usage_unread"] = list(lines.unread)
        if failure is not None:
            facts["error"] = type(failure).__name__
        return Tally(lines.usages, {**self.metadata, **facts}, round((monotonic_seconds() - self._began) * 1000))

    def _check_running(self) -> None:
        if not self.running:
            raise InvalidCall(
                f"the ride {self.usage_key} has ended, or is another process's: what is observed now would not be paid; "
                "observe within its block",
                param="ride",
            )

    async def _watched_items(self, stream: Any, observer: Observer, model: str | None) -> AsyncIterator[Any]:
        with _watching(observer):
            async for chunk in stream:
                self._check_running()
                observer.see_piece(chunk, model=model)
                yield chunk

    def _watched_sync_items(self, stream: Any, observer: Observer, model: str | None) -> Iterator[Any]:
        with _watching(observer):
            for chunk in stream:
                self._check_running()
                observer.see_piece(chunk, model=model)
                yield chunk


@contextmanager
def _watching(observer: Observer) -> Generator[None]:
    """Tell an observer how its stream ended: by itself, by a failure of its own, or because the reader left."""
    try:
        yield
    except Exception:
        observer.fail()
        raise
    except BaseException:
        observer.break_off()
        raise
    observer.see_untold()


@dataclass(frozen=True, slots=True)
class Tally:
    """The end of a ride: void, or settle these lines."""

    usages: Sequence[ModelUsage] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    duration_ms: int = 0
    void_reason: str | None = None


class Charge:
    """`async with credits.charge(…) as ride:` — authorises on entry; on exit settles what was observed, or voids.

    * The block ends well: what was observed is settled; nothing observed settles a fixed price.
    * The block raises: nothing observed voids; otherwise what was used until then is settled.
    * The task is cancelled: the same, and the settlement itself is shielded from the cancellation.
    * The gateway is lost: the settlement goes to the broker or the local spool and is sent later.
    """

    def __init__(self, till: ITill, request: RideRequest) -> None:
        self._till = till
        self._request = request
        self._ride: Ride | None = None
        self._token: Token[Ride | None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = Lock()
        self._finished = False

    def __enter__(self) -> NoReturn:
        raise InvalidCall("a CreditsClient charges by `async with`; without an event loop use SyncCreditsClient")

    def __exit__(self, *failure: object) -> None:
        """Never reached."""

    async def __aenter__(self) -> Ride:
        ride = await self.open()
        ride.bounded = True
        self._token = current_ride.set(ride)
        return ride

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
        await self.finish(failure)

    async def open(self) -> Ride:
        """Authorise; the caller sees to it that `finish` is called."""
        authorization = await self._till.tap_in(self._request)
        self._ride = Ride(self._request, authorization)
        self._loop = asyncio.get_running_loop()
        self._till.opened(self)
        if authorization.expires_at is not None:
            self._keeper = asyncio.create_task(self._till.keep_open(self._ride))
        return self._ride

    @property
    def bounded(self) -> bool:
        """Whether a block of code sees to the end of it."""
        return self._ride is not None and self._ride.bounded

    def release(self) -> None:
        """Extend the hold no more."""
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None

    async def finish(self, failure: BaseException | None = None) -> None:
        """Settle or void, once. A failure of that is raised only if the block itself did not fail."""
        ride = self._ride
        if ride is None or not self._first_end():
            return
        self.release()
        try:
            ride.outcome = await unbroken(lambda: self._close(ride, ride.tally(failure)))
        except CreditsError as error:
            log.error("%s of %s was not settled: %s", ride.usage_key, ride.user_id, error)  # noqa: TRY400  one line
            if failure is None:
                raise
            failure.add_note(f"and the ride {ride.usage_key} was not settled: {error}")

    def abandon(self) -> None:
        """Finish without being waited for, from any thread: on the loop if it still runs, else by the spool."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self.keep()
            return
        try:
            loop.call_soon_threadsafe(self._finish_soon)
        except RuntimeError:  # closed meanwhile
            self.keep()

    def _finish_soon(self) -> None:
        task = asyncio.ensure_future(self._finish_quietly())
        _UNBROKEN.add(task)
        task.add_done_callback(_UNBROKEN.discard)

    async def _finish_quietly(self) -> None:
        with suppress(CreditsError):  # logged
            await self.finish()

    def keep(self) -> None:
        """Finish by putting the settlement into the spool, from any thread, without a loop."""
        ride = self._ride
        if ride is not None and self._first_end():
            tally = ride.tally(None)
            self._till.keep(ride, tally.usages, tally.metadata, tally.duration_ms)

    def _first_end(self) -> bool:
        with self._lock:
            first, self._finished = not self._finished, True
        if first:
            self._till.closed(self)
        return first

    async def _close(self, ride: Ride, tally: Tally) -> Outcome:
        if tally.void_reason is not None:
            return await self._till.turn_back(ride, tally.void_reason)
        return await self._till.tap_out(ride, tally.usages, tally.metadata, tally.duration_ms)


def leave(token: Token[Ride | None]) -> None:
    """Make the ride before this one current again.

    Frameworks may leave a block in another context than they entered it (dependencies that yield); there is nothing to
    restore there, and the settlement must not fail for it.
    """
    with suppress(ValueError):
        current_ride.reset(token)


_UNBROKEN: set[asyncio.Task[Any]] = set()
"""A loop keeps weak references only."""


async def unbroken(work: Callable[[], Awaitable[T]]) -> T:
    """Do `work` to its end even if this task is cancelled meanwhile; then the cancellation goes on."""

    async def whole() -> T:
        return await work()

    task = asyncio.create_task(whole())
    _UNBROKEN.add(task)
    task.add_done_callback(_UNBROKEN.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            log.warning("a settlement failed while its task was cancelled: %r", task.exception())
        raise
