"""Controller of `/api/dead-letters`: list, read, replay and drop dead letters."""

from datetime import datetime

from faregate.core.messaging.dead_letters import DeadLetterService, UnknownDeadLetterError
from faregate.core.messaging.interfaces import DeadLetterCursor
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.dead_letters import (
    DeadLetterAnswer,
    DeadLettersBody,
    DeadLettersQuery,
    DoneAnswer,
    letter_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["DeadLettersController"]


class DeadLettersController(Controller):
    """Dead letters over HTTP."""

    def __init__(self, letters: DeadLetterService) -> None:
        self._letters = letters

    @operation(
        "GET",
        "/api/dead-letters",
        scope=Scope.DEAD_LETTERS_READ,
        answer=list[DeadLetterAnswer],
        links={"read": link("dead-letters.get_letter", path={"letter_id": "0/id"})},
        audit=Audit.PERSONAL,
    )
    async def list_letters(self, query: DeadLettersQuery) -> Page:
        """List dead letters, oldest first."""
        position = position_of(query.cursor, int, str, datetime)
        after = (position[0], DeadLetterCursor(position[1], position[2])) if position else None
        page = await self._letters.read(queue=query.queue, limit=query.limit, after=after)
        cursor = cursor_of(page.next[0], page.next[1].id, page.next[1].dead_at) if page.next else None
        return Page([letter_answer(letter) for letter in page.letters], cursor)

    @operation(
        "GET",
        "/api/dead-letters/{letter_id}",
        scope=Scope.DEAD_LETTERS_READ,
        answer=DeadLetterAnswer,
        errors=(UnknownDeadLetterError,),
        audit=Audit.PERSONAL,
    )
    async def get_letter(self, letter_id: str) -> DeadLetterAnswer:
        """Return one dead letter."""
        return letter_answer(await self._letters.get(letter_id))

    @operation("POST", "/api/dead-letters/replay", scope=Scope.OPS_WRITE, answer=DoneAnswer, rehearsable=True)
    async def replay(self, call: Call, body: DeadLettersBody) -> DoneAnswer:
        """Put dead letters back on their queues as new messages. A dry run counts them."""
        if call.is_rehearsal:
            return await self._counted(body)
        return DoneAnswer(count=await self._letters.replay(await self._ids(body)))

    @operation("POST", "/api/dead-letters/drop", scope=Scope.OPS_WRITE, answer=DoneAnswer, rehearsable=True)
    async def drop(self, call: Call, body: DeadLettersBody) -> DoneAnswer:
        """Delete dead letters permanently. A dry run counts them."""
        if call.is_rehearsal:
            return await self._counted(body)
        return DoneAnswer(count=await self._letters.drop(await self._ids(body)))

    async def _counted(self, body: DeadLettersBody) -> DoneAnswer:
        there = await self._letters.ids(body.queue)
        return DoneAnswer(count=len(there) if body.ids is None else len({*body.ids} & {*there}))

    async def _ids(self, body: DeadLettersBody) -> list[str]:
        return body.ids if body.ids is not None else await self._letters.ids(body.queue)
