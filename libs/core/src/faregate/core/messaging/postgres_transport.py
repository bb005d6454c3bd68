"""Transport on PostgreSQL: one table is both queue and outbox.

Consumers share the table by `SKIP LOCKED`; notifications make polling unnecessary while a connection listens. A taken message is
hidden until its lease ends; its `attempt` number is the fencing token, so that a consumer that lost its lease cannot decide
about a message that another one holds by then.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import (
    Ack,
    Backlog,
    DeadLetter,
    DeadLetterCursor,
    DeadMessage,
    Decision,
    Delivery,
    IConsumer,
    OutgoingMessage,
)
from faregate.core.messaging.sql import (
    ACK,
    BACKLOG,
    COUNT_DEAD,
    DEAD,
    DROP,
    LIST_DEAD,
    PUBLISH,
    RELEASE,
    REPLAY,
    RETRY,
    TAKE,
)
from faregate.core.messaging.wake_ups import LOST, WakeUps
from faregate.core.runtime.batcher import Batcher
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7
from faregate.wire.queues import DELIVERY_LIMIT, RETRY_DELAYS_SECONDS, kept_reason

__all__ = ["PostgresTransport"]

log = get_logger(__name__)

_LEASE_SECONDS = 60
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_POLL_SECONDS = 1.0
_WAKE_SECONDS = 0.01
"""Delay of a notification: a consumer that is notified a little later finds a batch instead of one message."""


_NOTIFY_SECONDS = 5
"""How long a server may take to pass on a notification, which is worth no longer wait: consumers poll."""


class PostgresTransport:
    """`ITransport` and `IOutbox` on the table `message`.

    With `wake_ups`, which carry the notifications of all tenants of the process, it opens no connection of its own, and consumers
    poll.
    """

    def __init__(
        self,
        database: Database,
        wake_ups: WakeUps | None = None,
        *,
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
    ) -> None:
        self._database = database
        self._wake_ups = wake_ups
        self._delays = retry_delays_seconds
        self._publishing: Batcher[tuple[str, Sequence[OutgoingMessage]], None] = Batcher(self._publish)
        self._unheard: set[str] = set()
        self._waking: asyncio.Task[None] | None = None
        self._waker: asyncpg.Connection[asyncpg.Record] | None = None

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        """Close the connection for notifications; the database is closed by its owner."""
        if self._waking is not None:
            await self._waking
        self._leave_waker()

    def _leave_waker(self) -> None:
        """Close the connection without a word, since its server may not answer."""
        if self._waker is not None:
            self._waker.terminate()
            self._waker = None

    async def add(self, session: AsyncSession, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        if not messages:
            return
        await self._database.rows(
            session,
            PUBLISH,
            queue=queue,
            ids=[new_uuid7() for _ in messages],
            bodies=[message.body for message in messages],
            headers=[exact_json.dumps(dict(message.headers)).decode() for message in messages],
        )

    async def publish(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        await self._publishing.submit((queue, messages))
        self.wake(queue)

    async def _publish(self, batch: Sequence[tuple[str, Sequence[OutgoingMessage]]]) -> Sequence[None]:
        async with self._database.transaction() as session:
            for queue in {queue for queue, _ in batch}:
                await self.add(session, queue, [m for name, messages in batch if name == queue for m in messages])
        return [None] * len(batch)

    def wake(self, queue: str) -> None:
        """Notify waiting consumers soon that there are messages; never inside a transaction that holds locks."""
        self._unheard.add(queue)
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        """Notify consumers once for all messages that came within the delay; consumers that miss it poll."""
        await asyncio.sleep(_WAKE_SECONDS)
        queues, self._unheard = self._unheard, set()
        try:
            for queue in queues:
                await self._notify(queue)
        except LOST as error:
            self._leave_waker()
            log.info("wake_up_lost", queues=sorted(queues), reason=str(error))

    async def _notify(self, queue: str) -> None:
        if self._wake_ups is not None:
            await self._wake_ups.notify(self.channel, queue)
            return
        if self._waker is None or self._waker.is_closed():
            self._waker = await self._database.connect()
        await self._waker.execute("select pg_notify($1, $2)", self.channel, queue, timeout=_NOTIFY_SECONDS)

    async def consume(self, queue: str) -> IConsumer:
        listened = self.channel if self._wake_ups is None else None
        consumer = _PostgresConsumer(self._database, queue, listened, self._delays)
        await consumer.listen()
        return consumer

    async def backlog(self, queue: str) -> Backlog:
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, BACKLOG, queue=queue)
        return Backlog(row.depth, row.oldest_at)

    async def dead_letters(
        self, *, queue: str | None = None, after: DeadLetterCursor | None = None
    ) -> AsyncIterator[DeadMessage]:
        last = after.id if after is not None and _UUID.fullmatch(after.id) else _FIRST_ID
        while True:
            async with self._database.transaction(read_only=True) as session:
                rows = await self._database.rows(session, LIST_DEAD, queue=queue, after=last)
            for row in rows:
                yield DeadMessage(str(row.message_id), row.queue, row.dead_reason, row.attempt, row.body, row.dead_at)
            if not rows:
                return
            last = str(rows[-1].message_id)

    async def count_dead(self) -> int:
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, COUNT_DEAD)
        return int(row.dead)

    async def replay(self, ids: Sequence[str]) -> int:
        async with self._database.transaction() as session:
            rows = await self._database.rows(session, REPLAY, ids=_known(ids), new_ids=[new_uuid7() for _ in ids])
        for queue in {row.queue for row in rows}:
            self.wake(queue)
        return len(rows)

    async def drop(self, ids: Sequence[str]) -> int:
        async with self._database.transaction() as session:
            return len(await self._database.rows(session, DROP, ids=_known(ids)))

    @property
    def channel(self) -> str:
        """The channel of its notifications, whose texts are names of queues."""
        return f"faregate_{self._database.sql.schema}"


def _known(ids: Sequence[str]) -> list[UUID]:
    """Return those of `ids` that have the form of our ids, without duplicates."""
    return [UUID(name) for name in dict.fromkeys(ids) if _UUID.fullmatch(name)]


class _PostgresConsumer:
    """`IConsumer` on the table `message`."""

    def __init__(self, database: Database, queue: str, channel: str | None, delays: Sequence[float]) -> None:
        self._database = database
        self._queue = queue
        self._channel = channel
        self._delays = delays
        self._awake = asyncio.Event()
        self._listener: asyncpg.Connection[asyncpg.Record] | None = None
        self._held: dict[str, Delivery] = {}

    async def listen(self) -> None:
        """Receive notifications on a separate connection; without one, the consumer polls."""
        if self._channel is None:
            return
        with contextlib.suppress(*LOST):
            self._listener = await self._database.connect()
            await self._listener.add_listener(self._channel, self._hear)

    async def take(self, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        deadline = Deadline(wait_seconds)
        while True:
            self._awake.clear()
            deliveries = await self._claim(limit)
            if deliveries or deadline.passed:
                return deliveries
            await self._sleep(min(_POLL_SECONDS, deadline.remaining_seconds))

    async def decide(self, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        done = [delivery for delivery, decision in decisions if isinstance(decision, Ack)]
        dead = [
            (delivery, _reason(delivery, decision))
            for delivery, decision in decisions
            if self._is_dead(delivery, decision)
        ]
        buried = {id(delivery) for delivery, _ in dead}
        later = [d for d, decision in decisions if not isinstance(decision, Ack) and id(d) not in buried]
        async with self._database.transaction() as session:
            if done:
                await self._database.rows(session, ACK, **_tokens(done))
            if later:
                delays = [float(self._delays[delivery.attempt - 1]) for delivery in later]
                await self._database.rows(session, RETRY, **_tokens(later), delays=delays)
            if dead:
                reasons = [reason for _, reason in dead]
                await self._database.rows(session, DEAD, **_tokens([d for d, _ in dead]), reasons=reasons)
        for delivery, _ in decisions:
            self._held.pop(str(delivery.message_id), None)

    async def close(self) -> None:
        if self._held:
            with contextlib.suppress(EngineUnavailableError):
                async with self._database.transaction() as session:
                    await self._database.rows(session, RELEASE, **_tokens(list(self._held.values())))
            self._held.clear()
        if self._listener is not None:
            self._listener.terminate()
            self._listener = None

    async def _claim(self, limit: int) -> Sequence[Delivery]:
        async with self._database.transaction() as session:
            rows = await self._database.rows(session, TAKE, queue=self._queue, limit=limit, lease=float(_LEASE_SECONDS))
            poison = [row for row in rows if row.attempt > DELIVERY_LIMIT]
            if poison:
                await self._database.rows(
                    session,
                    DEAD,
                    ids=[row.message_id for row in poison],
                    attempts=[row.attempt for row in poison],
                    reasons=[f"delivered {DELIVERY_LIMIT} times without a decision" for _ in poison],
                )
        taken = [self._delivery(row) for row in rows if row.attempt <= DELIVERY_LIMIT]
        deliveries = tuple(sorted(taken, key=lambda delivery: str(delivery.message_id)))
        self._held.update({str(delivery.message_id): delivery for delivery in deliveries})
        return deliveries

    def _delivery(self, row: Any) -> Delivery:
        headers = row.headers
        return Delivery(
            queue=self._queue,
            body=row.body,
            message_id=str(row.message_id),
            attempt=row.attempt,
            redelivered=row.attempt > 1,
            published_at=row.created_at,
            headers=headers,
            token=(row.message_id, row.attempt),
        )

    async def _sleep(self, seconds: float) -> None:
        if self._listener is None or self._listener.is_closed():
            await self.listen()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    def _is_dead(self, delivery: Delivery, decision: Decision) -> bool:
        if isinstance(decision, Ack):
            return False
        return isinstance(decision, DeadLetter) or delivery.attempt > len(self._delays)

    def _hear(self, _connection: Any, _pid: int, _channel: str, queue: object) -> None:
        if queue == self._queue:
            self._awake.set()


def _tokens(deliveries: Sequence[Delivery]) -> dict[str, list[Any]]:
    return {"ids": [d.token[0] for d in deliveries], "attempts": [d.token[1] for d in deliveries]}


def _reason(delivery: Delivery, decision: Decision) -> str:
    if isinstance(decision, Ack):
        return ""
    if isinstance(decision, DeadLetter):
        return kept_reason(decision.reason)
    return f"{kept_reason(decision.reason)} (after {delivery.attempt} attempts)"
