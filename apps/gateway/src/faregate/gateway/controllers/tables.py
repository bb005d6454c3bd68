"""Controller of `/api/tables`: files of tables that a page shows."""

from starlette.responses import Response

from faregate.analytics.exports.formats import Format, file_name
from faregate.analytics.exports.tables import table_file
from faregate.core.clock import IClock
from faregate.core.errors import MissingExtraError
from faregate.gateway.http.operation import Audit, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.tables import TableBody, table_of

__all__ = ["TablesController"]

_AT_ONCE = 4
_BODY_LIMIT_BYTES = 8 * 1024 * 1024


class TablesController(Controller):
    """Files of tables over HTTP."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock

    @operation(
        "POST",
        "/api/tables",
        scope=None,
        known=True,
        produces=tuple(kind.media_type for kind in Format),
        errors=(MissingExtraError,),
        body_limit_bytes=_BODY_LIMIT_BYTES,
        concurrency=_AT_ONCE,
        personal=Personal.IDS,
        audit=Audit.NEVER,
    )
    async def write(self, body: TableBody) -> Response:
        """Write a table into a file: csv, xlsx, parquet, json or ndjson.

        Nothing is read or stored. The dashboard exports its tables with this call, in the order in which they are sorted, with
        exact amounts.
        """
        name = file_name(body.name, body.format, start=None, end=None, now=self._clock.now())
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(
            await table_file(table_of(body), body.format), media_type=body.format.media_type, headers=headers
        )
