"""Why a log cannot be taken, found or opened."""

from faregate.core.errors import FaregateError, NotFoundError
from faregate.core.privacy.key_ring import KeyRingError, SealedError

__all__ = ["FeatureLogError", "LogKeyError", "LogSealedError", "UnknownLogError"]


class FeatureLogError(FaregateError):
    """The root of this library's errors."""


class UnknownLogError(FeatureLogError, NotFoundError):
    """There is no such log, or it was deleted."""

    code = "unknown_log"

    def __init__(self, log_id: object) -> None:
        super().__init__(f"No feature log {log_id}; it may have been deleted or archived", param="id")


class LogSealedError(FeatureLogError, SealedError):
    """A sealed log cannot be opened: its key is missing, or it was tampered with."""

    code = "log_sealed"


LogKeyError = KeyRingError
