"""Manifest of the exported days of a view. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from faregate.core.errors import MalformedError
from faregate.wire import exact_json

__all__ = ["ExportedDay", "days_of", "manifest_of", "stale_days"]


@dataclass(frozen=True, slots=True)
class ExportedDay:
    """The rows of a view on a day: how many, and their digest."""

    rows: int
    digest: str


def days_of(content: bytes | None) -> dict[date, ExportedDay]:
    """Return the days of a manifest; empty if there is none, or if it cannot be read: then all days are written again."""
    try:
        found: Any = exact_json.loads(content) if content else {}
        return {
            date.fromisoformat(day): ExportedDay(each["rows"], each["digest"]) for day, each in found["days"].items()
        }
    except (MalformedError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def manifest_of(view: str, days: Mapping[date, ExportedDay]) -> bytes:
    """Return the text of a manifest."""
    written = {str(day): {"rows": days[day].rows, "digest": days[day].digest} for day in sorted(days)}
    return exact_json.dumps({"view": view, "days": written}) + b"\n"


def stale_days(now: Mapping[date, ExportedDay], before: Mapping[date, ExportedDay]) -> list[date]:
    """Return the days whose rows are not those that were exported. A day without rows now stays: its facts were archived."""
    return sorted(day for day, found in now.items() if before.get(day) != found)
