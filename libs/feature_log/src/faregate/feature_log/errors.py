"""Errors of feature logs."""

from faregate.core.errors import FaregateError, NotFoundError
from faregate.core.privacy.key_ring import KeyRingError, SealedError

__all__ = ["FeatureLogError", "LogKeyError", "LogSealedError", "UnknownLogError"]


class FeatureLogError(FaregateError):
    """The base class of this library's errors."""


class UnknownLogError(FeatureLogError, NotFoundError):
    """No log has this id, or it was deleted."""

    code = "unknown_log"

    def __init__(self, log_id: object) -> None:
        super().__init__(f"No feature log {log_id}; it may have been deleted or archived", param="id")


class LogSealedError(FeatureLogError, SealedError):
    """An encrypted log cannot be decrypted: its key is missing, or it was tampered with."""

    code = "log_sealed"


LogKeyError = KeyRingError
