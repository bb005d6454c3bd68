"""Root of the error family: a code, a sentence, and facts."""

from typing import Any, ClassVar

__all__ = ["FaregateError", "InvalidError", "MalformedError"]


class FaregateError(Exception):
    """Something Faregate can name.

    Attributes:
        code: stable word for programs; each has a page in the docs.
        retryable: the same call may succeed later, unchanged.
        detail: one sentence with the values concerned and the fix.
        param: the request field concerned, if one is.
        facts: more values that a caller may act on (`balance`, `required`, …).
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
        """Return what strangers may read: `detail`, unless that names what is ours alone."""
        return self.detail


class MalformedError(FaregateError):
    """The bytes are not what they claim to be: no JSON, a duplicate key, too deep."""

    code = "malformed"


class InvalidError(FaregateError):
    """Well-formed, but a value cannot be accepted."""

    code = "invalid"
