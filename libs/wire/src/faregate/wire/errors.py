"""Root of the error family: a code, a sentence, and facts."""

from typing import Any, ClassVar

__all__ = ["FaregateError", "InvalidError", "MalformedError"]


class FaregateError(Exception):
    """Base of all errors of the libraries and servers.

    Attributes:
        code: stable identifier for programs; each has a page in the documentation.
        retryable: the same call may succeed later without a change.
        detail: one sentence with the values concerned and how to correct them.
        param: the request field concerned, if one is.
        facts: further values for the caller (`balance`, `required`, …).
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, param: str | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param
        self.facts: dict[str, Any] = facts

    @property
    def public_detail(self) -> str:
        """Return the text for callers: `detail`, unless that contains internal information."""
        return self.detail


class MalformedError(FaregateError):
    """The bytes are malformed: not JSON, a duplicate key, nested too deep."""

    code = "malformed"


class InvalidError(FaregateError):
    """The input is well-formed, but a value is not accepted."""

    code = "invalid"
