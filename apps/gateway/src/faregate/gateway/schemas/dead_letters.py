"""Bodies and answers of `/api/dead-letters`."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator

from faregate.core.messaging.dead_letters import shown_body
from faregate.core.messaging.interfaces import DeadMessage
from faregate.core.values.fields import AtMost, Body, ExternalId
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = ["DeadLetterAnswer", "DeadLettersBody", "DeadLettersQuery", "DoneAnswer", "letter_answer"]


class DeadLetterAnswer(Answer):
    """One message that could not be handled.

    `body_encoding` is the form of `body`: `json` for JSON, `text` for text that is not JSON, `base64` for bytes that are
    not text. Replaying sends the original bytes.
    """

    id: str
    queue: str
    reason: str
    attempts: int
    dead_at: datetime
    body: Any
    body_encoding: Literal["json", "text", "base64"]


class DeadLettersQuery(PageQuery):
    """Filters of dead letters, oldest first."""

    queue: ExternalId | None = None


class DeadLettersBody(Body):
    """The dead letters: by id, or all of one queue."""

    ids: Annotated[list[ExternalId], AtMost(1000, least=1)] | None = None
    queue: ExternalId | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.queue is None):
            raise ValueError("give either ids or queue")
        return self


class DoneAnswer(Answer):
    """The number of dead letters replayed or dropped."""

    count: int


def letter_answer(letter: DeadMessage) -> DeadLetterAnswer:
    """Return one dead letter."""
    body, encoding = shown_body(letter.body)
    return DeadLetterAnswer.of(letter, body=body, body_encoding=encoding)
