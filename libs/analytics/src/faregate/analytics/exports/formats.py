"""Formats and file names of exports. Pure."""

from datetime import UTC, datetime
from enum import StrEnum

from faregate.core.errors import InvalidError

__all__ = ["XLSX_ROW_LIMIT", "Format", "file_name", "format_of"]

XLSX_ROW_LIMIT = 1_048_575
"""The number of rows of a sheet, without its heading."""


class Format(StrEnum):
    """The file format of an export."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def format_of(name: str) -> Format:
    """Return the format of that name, or raise `InvalidError`."""
    try:
        return Format(name)
    except ValueError as error:
        raise InvalidError(f"format must be one of {', '.join(Format)}", param="format") from error


def file_name(what: str, kind: Format, *, start: datetime | None, end: datetime | None, now: datetime) -> str:
    """Return a file name with the content, the range (its end excluded) and the time of creation, all in UTC."""
    span = [moment.astimezone(UTC).strftime("%Y-%m-%d") for moment in (start, end) if moment is not None]
    made = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return "_".join([f"usage-{what}", *span, made]) + f".{kind}"
