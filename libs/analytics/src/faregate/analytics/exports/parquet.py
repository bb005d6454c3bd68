"""Parquet files with exact column types."""

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.core.errors import MissingExtraError
from faregate.wire import exact_json

__all__ = ["parquet"]

_COMPRESSION = "zstd"
_GROUP_BYTES = 4 * 1024 * 1024


async def parquet(
    columns: Sequence[Column], cells: AsyncGenerator[bytes], about: Mapping[str, Any]
) -> AsyncGenerator[bytes]:
    """Yield Parquet of `cells`: CSV without a heading, each chunk of whole rows; a row group for every 4 MiB of it.

    Credits are decimal(18, 6), USD decimal(24, 12), quantities decimal(38, 12), exact numbers
    decimal(38, 18); JSON is text; times are microseconds in
    UTC. `about` is stored in the file's key-value metadata. Parsing and writing run in a thread, without the interpreter lock.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    table, gathered = await asyncio.to_thread(_Table, columns, about), bytearray()
    async with aclosing(cells):
        async for chunk in cells:
            gathered += chunk
            if len(gathered) >= _GROUP_BYTES:
                yield await asyncio.to_thread(table.add, bytes(gathered))
                gathered.clear()
    if gathered:
        yield await asyncio.to_thread(table.add, bytes(gathered))
    yield await asyncio.to_thread(table.close)


class _Sink(io.RawIOBase):
    """Buffers written bytes until they are read."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._kept)
        self._kept.clear()
        return taken


class _Table:
    def __init__(self, columns: Sequence[Column], about: Mapping[str, Any]) -> None:
        try:
            pa: Any = import_module("pyarrow")
            self._csv: Any = import_module("pyarrow.csv")
            writing: Any = import_module("pyarrow.parquet")
        except ModuleNotFoundError as error:
            raise MissingExtraError("An export as Parquet", "exports") from error
        self._pa = pa
        self._sink = _Sink()
        fields = [pa.field(column.name, _type(pa, column.kind)) for column in columns]
        self._schema: Any = pa.schema(fields, metadata={"faregate": exact_json.dumps(about)})
        self._writer: Any = writing.ParquetWriter(self._sink, self._schema, compression=_COMPRESSION)

    def add(self, cells: bytes) -> bytes:
        """Write one row group and return its bytes; only an unquoted empty cell is null."""
        rows: Any = self._csv.read_csv(
            self._pa.BufferReader(cells),
            self._csv.ReadOptions(use_threads=False, block_size=len(cells) + 1, column_names=self._schema.names),
            self._csv.ParseOptions(newlines_in_values=True),
            self._csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        self._writer.write_table(rows.replace_schema_metadata(self._schema.metadata))
        return self._sink.take()

    def close(self) -> bytes:
        """Return the end of the file."""
        self._writer.close()
        return self._sink.take()


def _type(pa: Any, kind: Kind) -> Any:
    return {
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.CREDITS: pa.decimal128(18, 6),
        Kind.USD: pa.decimal128(24, 12),
        Kind.QUANTITY: pa.decimal128(38, 12),
        Kind.NUMBER: pa.decimal128(38, 12),
        Kind.EXACT: pa.decimal128(38, 18),
        Kind.BOOLEAN: pa.bool_(),
        Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    }[kind]
