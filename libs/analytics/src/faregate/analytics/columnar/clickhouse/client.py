"""Client of ClickHouse's HTTP interface.

User and password go into headers, never into the URL: URLs are logged. Results are JSON with numbers of more than 32 bits as text,
so that every digit survives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Any

import orjson

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.errors import refused, unreachable
from faregate.core.errors import MissingExtraError
from faregate.core.runtime.trusted_authorities import trusted_authorities

if TYPE_CHECKING:
    import httpx2

__all__ = ["NEEDS_CLICKHOUSE", "ClickHouseClient", "SentTable", "clickhouse_installed"]

NEEDS_CLICKHOUSE = "The columnar copy of usage events in ClickHouse"

_CONNECT_SECONDS = 2.0
_SETTINGS = {
    "wait_end_of_query": "1",  # an error after the first rows has a status of its own, too
    "prefer_column_name_to_alias": "1",
    "enable_positional_arguments": "1",
    "cast_keep_nullable": "1",
    "output_format_json_quote_64bit_integers": "1",
    "output_format_json_quote_decimals": "1",
    "cancel_http_readonly_queries_on_client_close": "1",
}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})
_OK = 200


@dataclass(frozen=True, slots=True)
class SentTable:
    """A table that is sent with a statement, which names it: its columns with their types, and its rows."""

    name: str
    structure: str
    format: str
    rows: bytes


def clickhouse_installed() -> bool:
    """Return whether the extra is installed."""
    return find_spec("httpx2") is not None


class ClickHouseClient:
    """Runs statements, each over a connection of its own.

    Args:
        timeout_seconds: a statement that takes longer is ended, here and there.
    """

    def __init__(self, address: ClickHouseAddress, *, timeout_seconds: float) -> None:
        self.address = address
        self._timeout_seconds = timeout_seconds

    async def run(
        self, sql: str, parameters: Mapping[str, str] | None = None, tables: Sequence[SentTable] = ()
    ) -> None:
        """Run a statement that has no result.

        Raises:
            ClickHouseError: ClickHouse does not answer, or refuses.
        """
        await self._post(sql, parameters or {}, tables)

    async def rows(
        self, sql: str, parameters: Mapping[str, str] | None = None, tables: Sequence[SentTable] = ()
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query: integers, decimals and text.

        Raises:
            ClickHouseError: ClickHouse does not answer, or refuses.
        """
        body = await self._post(f"{sql}\nformat JSONCompact", parameters or {}, tables)
        try:
            found = orjson.loads(body)
            readers = [_reader(column["type"]) for column in found["meta"]]
            return [tuple(read(v) for read, v in zip(readers, row, strict=True)) for row in found["data"]]
        except (ValueError, KeyError, TypeError):
            raise refused(self.address, _OK, None, "") from None

    async def _post(self, sql: str, parameters: Mapping[str, str], tables: Sequence[SentTable]) -> bytes:
        try:
            import httpx2
        except ImportError:
            raise MissingExtraError(NEEDS_CLICKHOUSE, "clickhouse") from None
        given = {"database": self.address.database, **_SETTINGS, "max_execution_time": f"{ceil(self._timeout_seconds)}"}
        given |= {f"param_{name}": value.translate(_ESCAPES) for name, value in parameters.items()}
        for table in tables:
            given |= {f"{table.name}_structure": table.structure, f"{table.name}_format": table.format}
        files = {table.name: (table.name, table.rows) for table in tables}
        try:
            async with await self._opened() as client:
                if files:
                    answer = await client.post("/", params={**given, "query": sql}, files=files)
                else:
                    answer = await client.post("/", params=given, content=sql.encode())
        except httpx2.HTTPError as error:
            raise unreachable(self.address, error) from None
        code = answer.headers.get("x-clickhouse-exception-code")
        known = any(name.startswith("x-clickhouse-") for name in answer.headers)
        if answer.status_code != _OK or code or not known:
            raise refused(self.address, answer.status_code, code, answer.text)
        return answer.content

    async def _opened(self) -> "httpx2.AsyncClient":
        """Open a connection for one statement: none outlives its event loop, and none is found dead by the next statement."""
        import httpx2

        login = {"X-ClickHouse-User": self.address.user, "X-ClickHouse-Key": self.address.password}
        timeout = httpx2.Timeout(self._timeout_seconds, connect=min(self._timeout_seconds, _CONNECT_SECONDS))
        verify = await trusted_authorities() if self.address.server.startswith("https:") else False
        return httpx2.AsyncClient(base_url=self.address.server, headers=login, timeout=timeout, verify=verify)


def _reader(kind: str) -> Callable[[Any], Any]:
    """Return what reads a value of one of ClickHouse's types."""
    bare = kind.removeprefix("LowCardinality(").removeprefix("Nullable(")
    convert = int if bare.startswith(("Int", "UInt")) else Decimal if bare.startswith("Decimal") else str

    def read(value: Any) -> Any:
        return None if value is None else convert(value)

    return read
