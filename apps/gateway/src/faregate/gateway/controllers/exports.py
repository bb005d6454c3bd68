"""Controller of `/api/analytics/export`: usage events as a streamed file."""

from collections.abc import AsyncGenerator

from starlette.responses import StreamingResponse

from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.service import ExportService
from faregate.core.clock import IClock
from faregate.core.errors import MissingExtraError
from faregate.gateway.http.operation import Audit, Call, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.exports import ExportQuery
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownMeterError

__all__ = ["ExportsController"]

_AT_ONCE = 4


class ExportsController(Controller):
    """Exports of usage events over HTTP."""

    def __init__(self, exports: ExportService, clock: IClock) -> None:
        self._exports = exports
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


async def _with(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the first chunk, which was read before the status was sent, and then the others."""
    yield first
    async for chunk in rest:
        yield chunk
