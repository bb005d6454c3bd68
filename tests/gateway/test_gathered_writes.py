"""Head and body of an answer are one write, in order, and nothing is held longer than a turn of the event loop."""

import asyncio
from collections.abc import Iterable
from typing import Any

from faregate.gateway.http.gathered_writes import GatheredWrites


class Wire(asyncio.Transport):
    """Records the writes that reach the network."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.sent.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def _gathered() -> tuple[Wire, GatheredWrites]:
    wire = Wire()
    return wire, GatheredWrites(wire, asyncio.get_running_loop())


async def test_head_and_body_are_one_write() -> None:
    wire, gathered = _gathered()

    gathered.write(b"head")
    gathered.write(b"body")
    await asyncio.sleep(0)

    assert wire.sent == [b"headbody"]


async def test_a_head_without_a_body_is_sent_in_the_next_turn() -> None:
    wire, gathered = _gathered()

    gathered.write(b"head")
    await asyncio.sleep(0)
    gathered.write(b"event")
    await asyncio.sleep(0)

    assert wire.sent == [b"head", b"event"]


async def test_all_that_is_written_arrives_in_order() -> None:
    wire, gathered = _gathered()

    for part in (b"1", b"2", b"3", b"4"):
        gathered.write(part)
    await asyncio.sleep(0)

    assert b"".join(wire.sent) == b"1234"


async def test_what_is_held_is_sent_before_the_connection_is_closed() -> None:
    wire, gathered = _gathered()

    gathered.write(b"last")
    gathered.close()
    await asyncio.sleep(0)

    assert wire.sent == [b"last"]
    assert wire.closed


async def test_nothing_is_written_to_a_connection_that_was_lost() -> None:
    wire, gathered = _gathered()

    gathered.write(b"late")
    wire.closed = True
    await asyncio.sleep(0)

    assert wire.sent == []
