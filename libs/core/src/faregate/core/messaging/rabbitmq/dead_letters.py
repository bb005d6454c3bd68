"""Dead letter queue of RabbitMQ: read, replay and drop by id.

RabbitMQ can only deliver messages one after the other. So each operation walks the whole queue on a connection of its own and
takes the messages it wants; the others return to the queue, in their order, when the connection closes. Two such walks at the
same time see different letters: they are for operators, not for programs.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from faregate.core.clock import IClock
from faregate.core.messaging.interfaces import DeadLetterCursor, DeadMessage
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, Link, broker_errors
from faregate.core.messaging.rabbitmq.envelope import dead_letter_of, replayed
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE

__all__ = ["DeadLetters"]

Take = Callable[[DeliveredMessage], Awaitable[None]]


class DeadLetters:
    """The contents of the dead letter queue."""

    def __init__(
        self, connect: Callable[[], Awaitable[Link]], publisher: Publisher, clock: IClock, names: QueueNames
    ) -> None:
        self._connect = connect
        self._names = names
        self._publisher = publisher
        self._clock = clock

    async def read(self, queue: str | None, after: DeadLetterCursor | None = None) -> AsyncIterator[DeadMessage]:
        """Read them in order, starting after `after`, without removing them.

        If the letter at `after` no longer exists, reading continues with those dead-lettered at the same time or later.
        """
        is_behind = after is None
        async with aclosing(self._letters()) as letters:
            async for letter in letters:
                if is_behind and queue in {None, letter.queue}:
                    yield letter
                is_behind = is_behind or letter.place == after
        if after is None or is_behind:
            return
        async with aclosing(self._letters()) as letters:
            async for letter in letters:
                if letter.dead_at >= after.dead_at and queue in {None, letter.queue}:
                    yield letter

    async def replay(self, ids: Sequence[str]) -> int:
        """Publish these as new messages of their queues, and remove them only afterwards."""

        async def publish(message: DeliveredMessage) -> None:
            await self._publisher.publish([replayed(message, self._clock.now(), self._names)])

        return await self._remove(ids, publish)

    async def drop(self, ids: Sequence[str]) -> int:
        """Remove these."""

        async def forget(_message: DeliveredMessage) -> None:
            return

        return await self._remove(ids, forget)

    async def _letters(self) -> AsyncGenerator[DeadMessage]:
        async with self._connected() as link, aclosing(_walk(link, self._names.on_broker(DEAD_QUEUE))) as messages:
            async for message in messages:
                yield dead_letter_of(message, self._names)

    async def _remove(self, ids: Sequence[str], take: Take) -> int:
        wanted = set(ids)
        found = 0
        async with self._connected() as link, aclosing(_walk(link, self._names.on_broker(DEAD_QUEUE))) as messages:
            async for message in messages:
                if not wanted:
                    break
                letter = dead_letter_of(message, self._names)
                if letter.id in wanted:
                    await take(message)
                    async with broker_errors("removing a dead letter"):
                        await link.channel.basic_ack(message.delivery_tag or 0)
                    wanted.discard(letter.id)
                    found += 1
        return found

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Link]:
        link = await self._connect()
        try:
            yield link
        finally:
            await link.close()


async def _walk(link: Link, queue: str) -> AsyncGenerator[DeliveredMessage]:
    """Return each message that is in the queue now, once."""
    async with broker_errors("reading dead letters"):
        declared = await link.channel.queue_declare(queue, passive=True, timeout=RPC_SECONDS)
    for _ in range(declared.message_count or 0):
        async with broker_errors("reading dead letters"):
            message = await link.channel.basic_get(queue, timeout=RPC_SECONDS)
        if isinstance(message.delivery, Basic.GetEmpty):
            return
        yield message
