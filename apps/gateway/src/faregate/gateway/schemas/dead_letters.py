"""Bodies and answers of `/api/dead-letters`."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from faregate.core import exact_json
from faregate.core.errors import MalformedError
from faregate.core.fields import Body, ExternalId, LooseBody
from faregate.core.interfaces import DeadMessage
from faregate.gateway.schemas.base import Answer

__all__ = ["DeadLetterAnswer", "DeadLettersBody", "DeadLettersQuery", "DoneAnswer", "letter_answer"]


class DeadLetterAnswer(Answer):
    """One message that could not be handled; `body` is its JSON, else its text."""

    id: str
    queue: str
    reason: str
    attempts: int
    dead_at: datetime
    body: Any


class DeadLettersQuery(LooseBody):
    """Which dead letters, oldest first."""

    queue: ExternalId | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class DeadLettersBody(Body):
    """Which dead letters: by id, or all of one queue."""

    ids: Annotated[list[ExternalId], Field(min_length=1, max_length=1000)] | None = None
    queue: ExternalId | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.queue is None):
            raise ValueError("give either ids or queue")
        return self


class DoneAnswer(Answer):
    """How many dead letters there were."""

    count: int


def letter_answer(letter: DeadMessage) -> DeadLetterAnswer:
    """Return one dead letter."""
    try:
        body = exact_json.loads(letter.body)
    except MalformedError:
        body = letter.body.decode(errors="replace")
    return DeadLetterAnswer(
        id=letter.id,
        queue=letter.queue,
        reason=letter.reason,
        attempts=letter.attempts,
        dead_at=letter.dead_at,
        body=body,
    )
