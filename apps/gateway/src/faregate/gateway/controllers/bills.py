"""Controller of `/api/bills`: imports, and differences from the ledger."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from faregate.analytics.bills.errors import NoBillError, UnknownBillError, UnreadableBillError
from faregate.analytics.bills.service import BillService
from faregate.core.errors import InvalidError
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.operation import JSON, Call, Controller, Page, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.bills import (
    BillAnswer,
    BillImportQuery,
    BillLineAnswer,
    BillsQuery,
    ComparisonAnswer,
    ComparisonQuery,
    RemovedBillAnswer,
    bill_answer,
    bill_line_answer,
    comparison_answer,
    mapping_of,
)
from faregate.gateway.security.auth import Scope

__all__ = ["BillsController"]

_CSV = "text/csv"
_BODY_LIMIT_BYTES = 64 * 1024 * 1024
_AT_ONCE = 2
_BUCKET = {
    "start_time": 1793491200,
    "end_time": 1793577600,
    "results": [{"amount": {"value": 0.25, "currency": "usd"}, "line_item": "gpt-4o, input"}],
}
_Answers = Annotated[dict[str, object] | list[object], Field(examples=[{"data": [_BUCKET]}])]
_Text = Annotated[str, Field(examples=["Date,Model,Total\n2026-11-01,gpt-4o,0.25\n"])]


class BillsController(Controller):
    """Provider bills over HTTP."""

    def __init__(self, bills: BillService) -> None:
        self._bills = bills

    @operation("GET", "/api/bills", scope=Scope.OPS_READ, answer=list[BillAnswer])
    async def list_bills(self, query: BillsQuery) -> Page:
        """List the imports of bills, newest first."""
        position = position_of(query.cursor, UUID)
        found = await self._bills.imports(before=position[0] if position else None, limit=query.limit)
        cursor = cursor_of(str(found[-1].import_id)) if len(found) == query.limit else None
        return Page([bill_answer(each) for each in found], cursor)

    @operation(
        "POST",
        "/api/bills",
        scope=Scope.OPS_WRITE,
        answer=BillAnswer,
        consumes={JSON: _Answers, _CSV: _Text},
        body_limit_bytes=_BODY_LIMIT_BYTES,
        errors=(InvalidError, UnreadableBillError),
        concurrency=_AT_ONCE,
        idempotent=False,
        rehearsable=True,
        links={
            "lines": link("bills.list_lines", path={"import_id": "import_id"}),
            "remove": link("bills.remove_bill", path={"import_id": "import_id"}),
        },
    )
    async def import_bill(self, call: Call, query: BillImportQuery, body: RawBody) -> BillAnswer:
        """Import the export of a provider: an answer of its API as it is, or a CSV.

        All lines are imported, or none. The same export again changes nothing; a line that says something else about the same
        request, or the same period, model, type of tokens and project, takes the earlier line's place.
        """
        made = await self._bills.import_file(
            await body.bytes(limit_bytes=_BODY_LIMIT_BYTES),
            query.source,
            provider=query.provider,
            mapping=mapping_of(query.map),
            file_name=query.file_name,
            actor=call.principal.id,
        )
        call.noted.update(source=made.source.value, provider=made.provider, import_id=str(made.import_id))
        return bill_answer(made)

    @operation(
        "GET",
        "/api/bills/comparison",
        scope=Scope.OPS_READ,
        answer=ComparisonAnswer,
        errors=(InvalidError, NoBillError),
        concurrency=_AT_ONCE,
    )
    async def compare_bill(self, query: ComparisonQuery) -> ComparisonAnswer:
        """Compare the bills of a provider with the ledger, and return the differences with their rows.

        Lines of the bill that name a request are compared with the lines of that request, all others by model, day and type of
        tokens. Days are days of UTC.
        """
        found = await self._bills.compare(
            query.provider,
            start=query.since,
            end=query.until,
            tolerance_usd=query.tolerance_usd,
            late_days=query.late_days,
        )
        return comparison_answer(found, kind=query.kind, limit=query.limit)

    @operation(
        "GET",
        "/api/bills/{import_id}/lines",
        scope=Scope.OPS_READ,
        answer=list[BillLineAnswer],
        errors=(UnknownBillError,),
    )
    async def list_lines(self, import_id: UUID, query: BillsQuery) -> Page:
        """List the lines that an import added, in the order of the file."""
        position = position_of(query.cursor, int)
        found = await self._bills.lines(import_id, after=position[0] if position else 0, limit=query.limit)
        cursor = cursor_of(found[-1].line.number) if len(found) == query.limit else None
        return Page([bill_line_answer(each) for each in found], cursor)

    @operation(
        "DELETE",
        "/api/bills/{import_id}",
        scope=Scope.OPS_WRITE,
        answer=RemovedBillAnswer,
        errors=(UnknownBillError,),
        rehearsable=True,
    )
    async def remove_bill(self, import_id: UUID) -> RemovedBillAnswer:
        """Remove an import; the lines that it took the place of count again."""
        await self._bills.remove(import_id)
        return RemovedBillAnswer(import_id=import_id)
