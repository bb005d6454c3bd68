"""`faregate dlq`: dead letters, the messages that could not be handled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Limit, Output
from faregate.cli.shared.output import console, print_done, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.core.messaging.dead_letters import DeadLetterService
    from faregate.core.messaging.interfaces import DeadMessage
    from faregate.worker.container import WorkerContainer

__all__ = ["dlq"]

dlq = App(name="dlq", help="List, replay and drop messages that could not be handled.")

_Queue = Annotated[str | None, Parameter(help="All dead letters of this queue.")]
_All = Annotated[bool, Parameter(name="--all", negative="", help="All dead letters of all queues.")]


@dlq.command(name="list")
@audited("dead-letters.list_letters", target=("queue",), apart=True)
def list_letters(*, queue: _Queue = None, limit: Limit = 50, output: Output = "table") -> None:
    """List dead letters, oldest first."""
    found = with_library(lambda lib: lib.dead_letters().read(queue=queue, limit=limit)).letters
    if output == "json":
        print_json([{**asdict(letter), **_body(letter)} for letter in found])
        return
    rows = [
        (letter.id, letter.queue, letter.dead_at.isoformat(" ", "seconds"), letter.attempts, letter.reason)
        for letter in found
    ]
    print_table(f"{len(found)} dead letters", ["id", "queue", "since", "attempts", "reason"], rows)


@dlq.command
@audited("dead-letters.get_letter", target=("letter_id",), apart=True)
def show(letter_id: str, *, output: Output = "table") -> None:
    """Show one dead letter with its body."""
    letter = with_library(lambda lib: lib.dead_letters().get(letter_id))
    body = _body(letter)
    if output == "json":
        print_json({**asdict(letter), **body})
        return
    facts = [
        ("queue", letter.queue),
        ("reason", letter.reason),
        ("attempts", letter.attempts),
        ("since", letter.dead_at),
        ("body", body["body_encoding"]),
    ]
    print_table(letter.id, ["", "value"], facts)
    console.print(body["body"], markup=False, soft_wrap=True)


@dlq.command
@audited("dead-letters.replay", target=("letter_ids", "queue", "every"))
def replay(*letter_ids: str, queue: _Queue = None, every: _All = False, output: Output = "table") -> None:
    """Put dead letters back on their queues as new messages: these ids, all of one --queue, or --all."""
    count = with_library(_chosen(letter_ids, queue, every, lambda letters, ids: letters.replay(ids)))
    print_done(f"{count:,} put back on their queues", {"replayed": count}, output)


@dlq.command
@audited("dead-letters.drop", target=("letter_ids", "queue", "every"))
def drop(*letter_ids: str, queue: _Queue = None, every: _All = False, output: Output = "table") -> None:
    """Delete dead letters permanently: these ids, all of one --queue, or --all."""
    count = with_library(_chosen(letter_ids, queue, every, lambda letters, ids: letters.drop(ids)))
    print_done(f"{count:,} dropped", {"dropped": count}, output)


def _body(letter: DeadMessage) -> dict[str, str]:
    """Return a body as text, or in base64 if it is not text, and which of the two it is."""
    from faregate.core.messaging.dead_letters import shown_body

    shown, encoding = shown_body(letter.body)
    return {"body": shown if encoding == "base64" else letter.body.decode(), "body_encoding": encoding}


def _chosen(
    letter_ids: Sequence[str],
    queue: str | None,
    every: bool,
    act: Callable[[DeadLetterService, Sequence[str]], Awaitable[int]],
) -> Callable[[WorkerContainer], Awaitable[int]]:
    if sum([bool(letter_ids), queue is not None, every]) != 1:
        raise InvalidError("name dead letters by id, or all of one --queue, or --all")

    async def work(lib: WorkerContainer) -> int:
        letters = lib.dead_letters()
        return await act(letters, letter_ids or await letters.ids(queue))

    return work
