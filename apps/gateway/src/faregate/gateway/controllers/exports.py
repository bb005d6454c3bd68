"""Controller of `/api/analytics/export` and `/focus`: usage as files."""

from collections.abc import AsyncGenerator
from datetime import datetime

from starlette.responses import Response, StreamingResponse

from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.service import ExportService
from faregate.analytics.focus.service import BEGINNING, FocusPosition, FocusService
from faregate.core.clock import IClock
from faregate.core.errors import MissingExtraError
from faregate.gateway.http.operation import Audit, Call, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.exports import ExportQuery, FocusQuery
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownMeterError

__all__ = ["ExportsController"]

_AT_ONCE = 4


class ExportsController(Controller):
    """Exports of usage events over HTTP."""

    def __init__(self, exports: ExportService, focus: FocusService, clock: IClock) -> None:
        self._exports = exports
        self._focus = focus
        self._clock = clock

    @operation(
        "GET",
        "/api/analytics/export",
        scope=Scope.ANALYTICS_READ,
        personal=Personal.IDS,
        produces=tuple(kind.media_type for kind in Format),
        errors=(MissingExtraError, UnknownMeterError),
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def export(self, call: Call, query: ExportQuery) -> StreamingResponse:
        """Download usage events as csv, json, ndjson, xlsx or parquet.

        The file is streamed from one snapshot of the database, with exact amounts. CSV cells that a spreadsheet would run as
        a formula get an apostrophe in front; with `raw=true` they stay unchanged. With `bom=true` CSV begins with a byte
        order mark, by which Excel recognises UTF-8. If events of the range are archived, the header
        `x-faregate-archived-before` says so; with `complete=true` such an export is refused.
        """
        question = query.question(now=self._clock.now())
        made = self._exports.events(question, query.format, safe=not query.raw, bom=query.bom)
        call.at_end(made.chunks.aclose)  # if the client disconnects at once, the stream never begins
        first = await anext(made.chunks, b"")
        headers = {"content-disposition": f'attachment; filename="{made.name}"', "cache-control": "no-store"}
        if question.omissions.archived_before is not None:
            headers["x-faregate-archived-before"] = question.omissions.archived_before.isoformat()
        return StreamingResponse(_with(first, made.chunks), media_type=made.format.media_type, headers=headers)

    @operation(
        "GET",
        "/api/analytics/focus",
        scope=Scope.ANALYTICS_READ,
        personal=Personal.IDS,
        produces=(Format.CSV.media_type,),
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def focus(self, query: FocusQuery) -> Response:
        """Download settled uses in FOCUS 1.2 or 1.4, as CSV of at most 10,000 rows.

        Each type of tokens of each line is a row, with credits as pricing currency; refunds follow. Sums are exact: billed
        credits are what the ledger charged. If there is more, the header `x-faregate-next-cursor` has the `cursor` of the next
        part.
        """
        position = position_of(query.cursor, int, datetime, str, int, int)
        after = FocusPosition(*position) if position is not None else BEGINNING
        page = await self._focus.page(
            query.since, query.until, version=query.version, after=after, most_rows=query.limit
        )
        headers = {"content-disposition": 'attachment; filename="focus.csv"', "cache-control": "no-store"}
        if page.next is not None:
            at = page.next
            headers["x-faregate-next-cursor"] = cursor_of(at.phase, at.at, at.key, at.wallet, at.seq)
        return Response(page.batch.content, media_type=Format.CSV.media_type, headers=headers)


async def _with(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the first chunk, which was read before the status was sent, and then the others."""
    yield first
    async for chunk in rest:
        yield chunk
