"""The bureau's own table, in its own schema and with its own metadata."""

from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

__all__ = ["Translation"]


class Translation(SQLModel, table=True):
    """A translation that somebody ordered; a title is unique per user."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    title: str
    language: str
    pages: int
