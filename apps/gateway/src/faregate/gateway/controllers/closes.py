"""Controller of closed months: statements, journals and payments for grants."""

from uuid import UUID

from starlette.responses import Response

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.tables import Table, table_file
from faregate.core.errors import KeyConflictError
from faregate.credit.closing.payments import FIRST_PAYMENT
from faregate.credit.closing.service import CloseService
from faregate.credit.closing.tables import JOURNAL_COLUMNS, journal_rows
from faregate.credit.errors import NotClosableError, UnknownCloseError, UnknownGrantError, UnknownWalletError
from faregate.gateway.http.operation import Audit, Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.closes import (
    CloseAnswer,
    CloseBody,
    JournalLineAnswer,
    JournalQuery,
    LateFactAnswer,
    LateQuery,
    PaymentAnswer,
    PaymentBody,
    WalletCloseAnswer,
    close_answer,
    journal_line_answer,
    late_fact_answer,
    wallet_close_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["ClosesController"]

_PERIOD = {"period": "period"}
_AMOUNTS = {"debit", "credit"}


class ClosesController(Controller):
    """Closed months over HTTP."""

    def __init__(self, closes: CloseService) -> None:
        self._closes = closes

    @operation(
        "POST",
        "/api/ledger/closes",
        scope=Scope.WALLETS_WRITE,
        answer=CloseAnswer,
        status=201,
        errors=(NotClosableError,),
        links={
            "read": link("ledger.get_close", path=_PERIOD),
            "wallets": link("ledger.list_close_wallets", path=_PERIOD),
            "journal": link("ledger.get_journal", path=_PERIOD),
            "late": link("ledger.list_late_facts", path=_PERIOD),
        },
        rehearsable=True,
    )
    async def close_month(self, body: CloseBody) -> CloseAnswer:
        """Close a month, or return it if it is closed already.

        A closed month never changes: what arrives later belongs to the next month, and is listed there.
        """
        return close_answer(await self._closes.run(body.period, timezone=body.timezone, catch_up=body.catch_up))

    @operation("GET", "/api/ledger/closes", scope=Scope.WALLETS_READ, answer=list[CloseAnswer], audit=Audit.NEVER)
    async def list_closes(self) -> Reply:
        """List the closed months, oldest first."""
        return Reply([close_answer(close) for close in await self._closes.list()])

    @operation(
        "GET",
        "/api/ledger/closes/{period}",
        scope=Scope.WALLETS_READ,
        answer=CloseAnswer,
        errors=(UnknownCloseError,),
        audit=Audit.NEVER,
    )
    async def get_close(self, period: str) -> CloseAnswer:
        """Return a closed month with its totals."""
        return close_answer(await self._closes.get(period))

    @operation(
        "GET",
        "/api/ledger/closes/{period}/wallets",
        scope=Scope.WALLETS_READ,
        answer=list[WalletCloseAnswer],
        errors=(UnknownCloseError,),
        audit=Audit.PERSONAL,
        links={
            "read": link("ledger.get_close_wallet", path={"period": "$request.path.period", "owner_id": "0/owner_id"})
        },
    )
    async def list_close_wallets(self, period: str, query: PageQuery) -> Page:
        """List the statements of the wallets in a closed month."""
        position = position_of(query.cursor, int)
        found, following = await self._closes.statements(
            period, after=position[0] if position else -1, limit=query.limit
        )
        cursor = cursor_of(following) if following is not None else None
        return Page([wallet_close_answer(statement) for statement in found], cursor)

    @operation(
        "GET",
        "/api/ledger/closes/{period}/wallets/{owner_id}",
        scope=Scope.WALLETS_READ,
        answer=WalletCloseAnswer,
        errors=(UnknownCloseError, UnknownWalletError),
    )
    async def get_close_wallet(self, period: str, owner_id: str) -> WalletCloseAnswer:
        """Return the statement of one wallet in a closed month."""
        return wallet_close_answer(await self._closes.statement(period, owner_id))

    @operation(
        "GET",
        "/api/ledger/closes/{period}/journal",
        scope=Scope.WALLETS_READ,
        answer=list[JournalLineAnswer],
        errors=(UnknownCloseError,),
        audit=Audit.NEVER,
    )
    async def get_journal(self, period: str, query: JournalQuery) -> Reply | Response:
        """Return the journal lines of a closed month for the general ledger; with `format=csv` as a file."""
        lines = await self._closes.journal(period, unit=query.unit)
        if query.format == "json":
            return Reply([journal_line_answer(line) for line in lines])
        kinds = [Kind.NUMBER if name in _AMOUNTS else Kind.TEXT for name in JOURNAL_COLUMNS]
        columns = [Column(name, kind) for name, kind in zip(JOURNAL_COLUMNS, kinds, strict=True)]
        content = await table_file(Table(columns, journal_rows(lines), {}), Format.CSV)
        name = f"journal-{period}-{query.unit}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(content, media_type=Format.CSV.media_type, headers=headers)

    @operation(
        "GET",
        "/api/ledger/closes/{period}/late",
        scope=Scope.WALLETS_READ,
        answer=list[LateFactAnswer],
        errors=(UnknownCloseError,),
        audit=Audit.PERSONAL,
    )
    async def list_late_facts(self, period: str, query: LateQuery) -> Page:
        """List facts of earlier months that arrived after their close and belong to this month."""
        position = position_of(query.cursor, int, int, str, str)
        after = {"after": (position[0], position[1], position[2], position[3])} if position else {}
        found, following = await self._closes.late(period, limit=query.limit, **after)
        cursor = cursor_of(*following) if following is not None else None
        return Page([late_fact_answer(fact) for fact in found], cursor)

    @operation(
        "POST",
        "/api/wallets/{owner_id}/grants/{grant_id}/payments",
        scope=Scope.WALLETS_WRITE,
        answer=PaymentAnswer,
        status=201,
        errors=(UnknownWalletError, UnknownGrantError, KeyConflictError),
        rehearsable=True,
    )
    async def record_payment(self, call: Call, owner_id: str, grant_id: str, body: PaymentBody) -> Reply:
        """Record what was paid for a grant, or returned: its paid value in the closed months."""
        key = body.key or call.derived_key or FIRST_PAYMENT
        done = await self._closes.record_payment(
            owner_id, _grant_id(grant_id), body.paid_usd, key=key, paid_at=body.paid_at
        )
        headers = {"idempotency-replayed": "true"} if done.replayed else {}
        return Reply(PaymentAnswer.of(done), headers=headers)


def _grant_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownGrantError(text) from None
