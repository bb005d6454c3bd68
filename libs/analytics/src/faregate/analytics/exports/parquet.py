"""Parquet: columns with exact types, for programs that analyse."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.interfaces import Rows
from faregate.core import exact_json
from faregate.core.errors import MissingExtraError

__all__ = ["ParquetFormat"]

_COMPRESSION = "zstd"


class ParquetFormat:
    """Parquet, a row group per batch. Credits are decimal(18, 6), USD decimal(24, 12), quantities decimal(38, 12);
    JSON is text; times are microseconds in UTC. What was asked for stands in the file's key-value metadata.
    """

    async def fill(self, path: Path, rows: Rows) -> None:
        table = _Table(path, rows)
        try:
            async for batch in rows.batches:
                await asyncio.to_thread(table.add, batch)
        finally:
            await asyncio.to_thread(table.close)


class _Table:
    def __init__(self, path: Path, rows: Rows) -> None:
        try:
            pa: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ModuleNotFoundError as error:
            raise MissingExtraError("An export as Parquet", "exports") from error
        self._pa = pa
        self._columns = rows.columns
        about = {"faregate": exact_json.dumps({"metadata": rows.metadata, "summary": rows.summary})}
        fields = [pa.field(column.name, _type(pa, column.kind)) for column in rows.columns]
        self._schema: Any = pa.schema(fields, metadata=about)
        self._writer: Any = parquet.ParquetWriter(str(path), self._schema, compression=_COMPRESSION)

    def add(self, batch: Sequence[Sequence[Any]]) -> None:
        if batch:
            arrays = [self._array(index, column, batch) for index, column in enumerate(self._columns)]
            self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()

    def _array(self, index: int, column: Column, batch: Sequence[Sequence[Any]]) -> Any:
        values = [row[index] for row in batch]
        if column.kind is Kind.JSON:
            values = [None if value is None else exact_json.dumps(value).decode() for value in values]
        return self._pa.array(values, type=self._schema.field(index).type)


def _type(pa: Any, kind: Kind) -> Any:
    return {
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.CREDITS: pa.decimal128(18, 6),
        Kind.USD: pa.decimal128(24, 12),
        Kind.QUANTITY: pa.decimal128(38, 12),
        Kind.NUMBER: pa.decimal128(38, 12),
        Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    }[kind]
