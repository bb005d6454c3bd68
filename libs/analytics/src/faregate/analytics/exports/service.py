"""Export service: named files that are streamed."""

from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from faregate.analytics.exports.copying import ExportSource
from faregate.analytics.exports.formats import XLSX_ROW_LIMIT, Format, file_name
from faregate.analytics.exports.parquet import parquet
from faregate.analytics.exports.selection import EVENTS, Selection, events_selection
from faregate.analytics.exports.texts import json_head, json_tail
from faregate.analytics.exports.workbook import workbook
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError

__all__ = ["Export", "ExportService"]


@dataclass(frozen=True, slots=True)
class Export:
    """A file that is written while it is read; close `chunks` to stop early."""

    name: str
    format: Format
    chunks: AsyncGenerator[bytes]


class ExportService:
    """Streams exports from a snapshot of the database, each over a separate connection."""

    def __init__(
        self, database: Database, clock: IClock, archived: ArchivedMonths, models: KnownModels, meters: KnownMeters
    ) -> None:
        self._database = database
        self._archived = archived
        self._models = models
        self._meters = meters
        self._clock = clock

    def events(self, question: Question, kind: Format, *, safe: bool = True, bom: bool = False) -> Export:
        """Return the events that match `question`, in order of arrival.

        With `safe`, CSV cells that a spreadsheet would run as formulas get an apostrophe in front; the other formats
        need none. Amounts are exact in all of them. With `bom`, CSV begins with a byte order mark, by which Excel recognises
        UTF-8.

        Raises:
            InvalidError: `bom` for another format than CSV.

        Archived events are left out: once the first chunk is read, the omissions of the question say so, and so does the
        metadata of formats that have metadata.

        Raises, when the first chunk is read:
            InvalidError: more rows than XLSX can hold; or archived events are missing, and the question refuses that.
            UnknownMeterError: the question names an unknown meter.
            MissingExtraError: the library for Parquet is not installed.
        """
        if bom and kind is not Format.CSV:
            raise InvalidError(f"bom is for csv only; leave it out for {kind}", param="bom")
        now = self._clock.now()
        name = file_name("events", kind, start=question.range.start, end=question.range.end, now=now)
        metadata = {
            "what": EVENTS,
            "start": question.range.start,
            "end": question.range.end,
            "timezone": question.range.timezone,
            "filters": question.filters.given,
            "exported_at": now,
        }
        chunks = self._chunks(question, kind, metadata, safe=safe)
        return Export(name, kind, _marked(chunks) if bom else chunks)

    async def _chunks(
        self, question: Question, kind: Format, metadata: Mapping[str, Any], *, safe: bool
    ) -> AsyncGenerator[bytes]:
        await self._meters.check(question)
        async with self._database.reading() as session:
            await self._archived.note(session, question, None)
            selection = events_selection(await self._models.resolve(session, question))
        if question.omissions.archived_before is not None:
            metadata = {**metadata, "archived_before": question.omissions.archived_before}
        async with (
            ExportSource.open(self._database, selection) as source,
            aclosing(await _open(source, selection, kind, metadata, safe=safe)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk


async def _marked(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(chunks):
        yield BOM_UTF8 + await anext(chunks, b"")
        async for chunk in chunks:
            yield chunk


async def _open(
    source: ExportSource, selection: Selection, kind: Format, metadata: Mapping[str, Any], *, safe: bool
) -> AsyncGenerator[bytes]:
    if kind is Format.XLSX:
        return await _workbook(source, selection, metadata)
    if kind is Format.PARQUET:
        about = {"metadata": metadata, "summary": await source.summary()}
        return parquet(selection.columns, source.csv(safe=False, header=False), about)
    if kind is Format.JSON:
        return _json(source, metadata)
    return source.csv(safe=safe) if kind is Format.CSV else source.objects()


async def _workbook(source: ExportSource, selection: Selection, metadata: Mapping[str, Any]) -> AsyncGenerator[bytes]:
    if await source.count(limit=XLSX_ROW_LIMIT + 1) > XLSX_ROW_LIMIT:
        raise InvalidError(
            f"XLSX holds {XLSX_ROW_LIMIT:,} rows at most, and this export has more; "
            "narrow the dates, or export as csv or parquet",
            param="format",
        )

    async def about() -> Mapping[str, Any]:
        return {**metadata, **await source.summary()}

    return workbook(selection.columns, source.sheet_rows(), about)


async def _json(source: ExportSource, metadata: Mapping[str, Any]) -> AsyncGenerator[bytes]:
    summary = {**await source.summary(), "meters": await source.meters()}
    yield json_head(metadata, summary) + b"\n"
    held = b""
    async with aclosing(source.objects()) as chunks:
        async for chunk in chunks:
            whole = held + chunk
            yield whole[:-1].replace(b"\n", b",\n")
            held = whole[-1:]
    yield json_tail()
