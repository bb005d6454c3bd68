"""Errors of quotas."""

from uuid import UUID

from faregate.core.errors import FaregateError, NotFoundError

__all__ = ["DeliveryError", "UnknownQuotaError"]


class UnknownQuotaError(NotFoundError):
    """No quota has this id."""

    def __init__(self, quota_id: UUID | str) -> None:
        super().__init__(f"there is no quota {quota_id}; GET /api/quotas lists them", param="id")


class DeliveryError(FaregateError):
    """A channel did not accept an alert; it is tried again later."""

    code = "unavailable"
    retryable = True
