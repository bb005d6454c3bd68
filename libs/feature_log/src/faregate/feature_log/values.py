"""Values of feature logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

__all__ = ["BODY_COLUMNS", "FeatureLog", "FeatureNames", "LogEntry", "LogFilter", "LogPage", "Recorded", "Route"]

Status = Literal["success", "failed"]

BODY_COLUMNS = ("payload", "response", "params", "query")


@dataclass(frozen=True, slots=True)
class Route:
    """A feature, endpoint (ids replaced) and type; an empty text is a name that was not given."""

    feature_key: str
    feature_id: str = ""
    endpoint: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class FeatureNames:
    """The names of a feature as given by a caller or by the catalogue."""

    id: str | None
    value: str | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One finished request to a feature, as reported by the host. With an `id`, repeating it is harmless."""

    user_id: str
    feature: FeatureNames
    method: str
    code: int
    status: Status
    user_email: str | None = None
    usage_key: str | None = None
    payload: Any = None
    response: Any = None
    params: Any = None
    query: Any = None
    endpoint: str | None = None
    type: str | None = None
    duration_ms: int | None = None
    id: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored log of an entry; `duplicate`: it was already stored."""

    id: UUID
    duplicate: bool


@dataclass(frozen=True, slots=True)
class FeatureLog:
    """A stored log, redacted. `bodies` is empty in lists."""

    id: UUID
    logged_at: datetime
    user_id: str
    user_email: str | None
    feature: FeatureNames
    usage_key: str | None
    method: str
    code: int
    status: Status
    endpoint: str | None
    type: str | None
    duration_ms: int | None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    bodies: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Filter of logs; `since` is inclusive, `until` exclusive; `text` is searched in feature, endpoint, type and status."""

    user_id: str | None = None
    user_email: str | None = None
    feature: str | None = None
    usage_key: str | None = None
    status: Status | None = None
    code: int | None = None
    method: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    body_text: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some logs, newest first, and the cursor of the next page."""

    logs: Sequence[FeatureLog]
    next: tuple[datetime, UUID] | None
