"""Table of feedback on uses."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Numeric, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from faregate.core.models import TableModel, moment

__all__ = ["FeedbackRow"]


class FeedbackRow(TableModel, table=True):
    """What one user said about one use. `comment` is redacted before it is stored.

    `sentiment` is the result of the host's model `sentiment_by`, from -1 to 1; without a result it stays null.
    """

    __table_args__: Any = (
        CheckConstraint("score between 1 and 5", name="score"),
        CheckConstraint("sentiment between -1 and 1", name="sentiment"),
        Index("feedback_subject_idx", "subject_id"),
        Index("feedback_updated_idx", "updated_at"),
        Index(
            "feedback_unread_idx", "updated_at", postgresql_where=text("comment is not null and sentiment_by is null")
        ),
    )

    usage_key: str = Field(sa_column=Column(Text, primary_key=True))
    subject_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    feature_key: str = Field(sa_column=Column(Text, nullable=False))
    score: int = Field(sa_column=Column(SmallInteger, nullable=False))
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'")))
    comment: str | None = Field(sa_column=Column(Text))
    sentiment: Decimal | None = Field(sa_column=Column(Numeric))
    sentiment_by: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=moment())
    updated_at: datetime = Field(sa_column=moment())
