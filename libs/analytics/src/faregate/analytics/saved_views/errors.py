"""Errors of saved views."""

from uuid import UUID

from faregate.core.errors import NotFoundError

__all__ = ["UnknownViewError"]


class UnknownViewError(NotFoundError):
    """No view has this id, or it is another person's and not shared."""

    code = "unknown_view"

    def __init__(self, view_id: UUID) -> None:
        super().__init__(f"There is no view {str(view_id)!r} of yours; GET /api/views lists them", param="view_id")
