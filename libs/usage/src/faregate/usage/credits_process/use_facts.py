"""Filters of finished uses by their usage events."""

from dataclasses import dataclass, fields
from datetime import datetime

__all__ = ["NO_FACTS", "UseFacts"]


@dataclass(frozen=True, slots=True)
class UseFacts:
    """What must be true of a use besides its user, feature and start; None means anything.

    One usage event of the use must have all of `service`, `provider`, `country`, `device` and `status` (`success`, `error` or
    a code such as `429`). `settled_since` is included, `settled_until` is not: usage is counted when it is settled.
    """

    service: str | None = None
    provider: str | None = None
    country: str | None = None
    device: str | None = None
    status: str | None = None
    settled_since: datetime | None = None
    settled_until: datetime | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return all(getattr(self, field.name) is None for field in fields(self))


NO_FACTS = UseFacts()
