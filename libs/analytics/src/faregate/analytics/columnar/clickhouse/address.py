"""Address of ClickHouse's HTTP interface, without its password in any text."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

__all__ = ["ClickHouseAddress"]

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """Where ClickHouse answers, and as whom it is asked; as text it is the address without user and password."""

    server: str
    database: str
    user: str = _DEFAULT
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> "ClickHouseAddress":
        """Return the parts of `FAREGATE_CLICKHOUSE_URL`, which the settings have checked."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return cls(
            f"{parts.scheme}://{host}",
            unquote(parts.path.strip("/")) or _DEFAULT,
            unquote(parts.username or _DEFAULT),
            unquote(parts.password or ""),
        )

    def __str__(self) -> str:
        return f"{self.server}/{self.database}"
