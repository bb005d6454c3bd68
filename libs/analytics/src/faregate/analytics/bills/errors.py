"""Errors of provider bills."""

from uuid import UUID

from faregate.core.errors import InvalidError, NotFoundError

__all__ = ["NoBillError", "UnknownBillError", "UnreadableBillError"]


class UnreadableBillError(InvalidError):
    """A line of an export cannot be read; nothing of the file was imported."""

    def __init__(self, problem: str, *, line: int | None = None) -> None:
        where = "" if line is None else f"line {line}: "
        super().__init__(f"{where}{problem}", param="file")
        self.line = line


class UnknownBillError(NotFoundError):
    """No import has this id."""

    def __init__(self, import_id: UUID | str) -> None:
        super().__init__(f"there is no import {import_id}; GET /api/bills lists them", param="import_id")


class NoBillError(NotFoundError):
    """There is no bill of this provider to compare with."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"there is no bill of {provider!r}; import one with POST /api/bills", param="provider")
