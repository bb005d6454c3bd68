"""Controller of `/api/portal`: what a visitor of the customers' page sees."""

import csv
import io
from dataclasses import replace
from datetime import datetime
from typing import Any

from starlette.responses import Response

from faregate.analytics.answers.exploration import Explorer
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.reports.documents.statement_pdf import Letterhead, statement_pdf
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.credit.errors import UnknownUsageKeyError, UnknownWalletError
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.gateway.http.operation import Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.bookkeeping import StatementAnswer, statement_answer
from faregate.gateway.schemas.portal import (
    PortalAnswer,
    PortalLimitAnswer,
    PortalStatementQuery,
    PortalUsageAnswer,
    PortalUsageQuery,
    PortalUseAnswer,
    PortalUsesQuery,
    portal_limit_answer,
    portal_quota_answer,
    portal_usage_answer,
    portal_use_answer,
)
from faregate.gateway.schemas.portal_look import PortalLook
from faregate.gateway.schemas.usage import FeatureUsageAnswer, usage_answer
from faregate.gateway.schemas.wallets import GrantAnswer, grant_answer
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.service import UsageService, UsageStory
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["PortalController"]

_TOP = 8


class PortalController(Controller):
    """One owner's balance, usage, uses, grants and statement. The owner is that of the link; no call names another."""

    def __init__(
        self,
        wallets: WalletService,
        usage: UsageService,
        explorer: Explorer,
        books: Bookkeeping,
        clock: IClock,
        quotas: QuotaService,
        look: PortalLook,
    ) -> None:
        self._wallets = wallets
        self._usage = usage
        self._explorer = explorer
        self._books = books
        self._clock = clock
        self._quotas = quotas
        self._look = look

    @operation("GET", "/api/portal/me", scope=None, portal=True, answer=PortalAnswer, errors=(UnknownWalletError,))
    async def me(self, call: Call) -> PortalAnswer:
        """Return the owner's balance, and how the page looks."""
        wallet, _ = await self._wallets.get(call.visitor.owner_id)
        return PortalAnswer(
            owner_id=wallet.owner_id,
            title=self._look.title,
            color=self._look.color,
            color_dark=self._look.color_dark,
            hidden=self._look.hidden_kinds,
            credits=wallet.free,
            balance=wallet.balance,
            held=wallet.held,
            plan=wallet.plan,
            link_expires_at=call.visitor.expires_at,
        )

    @operation("GET", "/api/portal/usage", scope=None, portal=True, answer=PortalUsageAnswer, errors=(InvalidError,))
    async def usage(self, call: Call, query: PortalUsageQuery) -> PortalUsageAnswer:
        """Return the owner's usage by day and by feature, model or member."""
        self._look.check_filters(query)
        by = query.by if query.by != "all" else None
        if by is not None and not self._look.shows(by):
            raise InvalidError(f"by must not be {query.by}: this page hides it; choose another", param="by")
        user, organization = _owner(call.visitor.owner_id)
        asked = query.question(now=self._clock.now())
        filters = replace(asked.filters, user_id=user or asked.filters.user_id, organization_id=organization)
        question = replace(asked, filters=filters)
        found = await self._explorer.explore(question, by or "feature", unit="day", amount="credits", top=_TOP)
        return portal_usage_answer(found, by, self._look)

    @operation(
        "GET",
        "/api/portal/uses",
        scope=None,
        portal=True,
        answer=list[FeatureUsageAnswer],
        links={"explain": link("portal.use", path={"usage_key": "0/usage_key"})},
    )
    async def uses(self, call: Call, query: PortalUsesQuery) -> Page:
        """List the owner's finished uses, the latest start first."""
        position = position_of(query.cursor, datetime, str)
        user, organization = _owner(call.visitor.owner_id)
        found = await self._usage.usages(
            user_id=user,
            organization_id=organization,
            before=(position[0], position[1]) if position else None,
            limit=query.limit,
        )
        cursor = cursor_of(found[-1].started_at, found[-1].usage_key) if len(found) == query.limit else None
        return Page([self._shown(usage_answer(usage)) for usage in found], cursor)

    @operation(
        "GET",
        "/api/portal/uses/{usage_key}",
        scope=None,
        portal=True,
        answer=PortalUseAnswer,
        errors=(UnknownUsageKeyError,),
    )
    async def use(self, call: Call, usage_key: str) -> PortalUseAnswer:
        """Explain one use of the owner: what was held, what it cost, which transactions it made."""
        found = await self._usage.story(usage_key)
        if not _belongs(found, call.visitor.owner_id):
            raise UnknownUsageKeyError(usage_key)
        return portal_use_answer(found, self._look)

    @operation(
        "GET",
        "/api/portal/grants",
        scope=None,
        portal=True,
        answer=list[GrantAnswer],
        errors=(UnknownWalletError,),
    )
    async def grants(self, call: Call) -> Reply:
        """List the owner's grants, used and expired ones included, oldest first."""
        found = [grant_answer(grant) for grant in await self._wallets.grants(call.visitor.owner_id)]
        return Reply([each.model_copy(update={"actor": None, "voided_by": None, "key": None}) for each in found])

    @operation(
        "GET",
        "/api/portal/limits",
        scope=None,
        portal=True,
        answer=list[PortalLimitAnswer],
        errors=(UnknownWalletError,),
    )
    async def limits(self, call: Call) -> Reply:
        """List the spending limits and quotas of the owner beside what is used; of an organisation, those of its members."""
        owner_id = call.visitor.owner_id
        user, organization = _owner(owner_id)
        if user is not None:
            found = [portal_limit_answer(limit) for limit in await self._books.user_limits(user)]
        else:
            of_members = await self._books.member_limits(organization or "")
            found = [portal_limit_answer(limit, self._look.shown("user", member)) for member, limit in of_members]
        statuses = await self._quotas.check_owner(owner_id)
        shown = [(status, self._look.shown("meter", status.quota.spec.meter)) for status in statuses]
        return Reply([*found, *(portal_quota_answer(status, meter) for status, meter in shown if meter is not None)])

    @operation(
        "GET",
        "/api/portal/statement",
        scope=None,
        portal=True,
        answer=StatementAnswer,
        errors=(InvalidError, UnknownWalletError, MissingExtraError),
    )
    async def statement(self, call: Call, query: PortalStatementQuery) -> StatementAnswer | Response:
        """Return the owner's statement for a period; with `format=csv` or `format=pdf` as a file."""
        owner_id = call.visitor.owner_id
        found = statement_answer(owner_id, await self._books.statement(owner_id, since=query.since, until=query.until))
        if query.format == "json":
            return found
        if query.format == "csv":
            return _file(found, "csv", _csv(found), "text/csv; charset=utf-8")
        head = Letterhead(self._look.title, owner_id, found.since, found.until, self._look.color, query.timezone)
        return _file(found, "pdf", await statement_pdf(found, head, now=self._clock.now()), "application/pdf")

    def _shown(self, use: FeatureUsageAnswer) -> FeatureUsageAnswer:
        names = {
            "feature_key": self._look.shown("feature", use.feature_key) or "",
            "user_id": self._look.shown("user", use.user_id) or "",
        }
        return use.model_copy(update={**names, "metadata": {}})


def _owner(owner_id: str) -> tuple[str | None, str | None]:
    """Return the user, or the organisation."""
    if owner_id.startswith(ORGANIZATION_PREFIX):
        return None, owner_id.removeprefix(ORGANIZATION_PREFIX)
    return owner_id, None


def _belongs(use: UsageStory, owner_id: str) -> bool:
    user, organization = _owner(owner_id)
    return use.user_id == user if user is not None else use.organization_id == organization


def _cell(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else exact_json.written(value)


def _csv(statement: StatementAnswer) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["line", "credits"])
    for name, value in statement.model_dump(exclude={"owner_id", "granted"}).items():
        rows.writerow([name, _cell(value)])
    rows.writerows([f"granted {source}", _cell(amount)] for source, amount in statement.granted.items())
    return text.getvalue().encode()


def _file(statement: StatementAnswer, ending: str, content: bytes, media_type: str) -> Response:
    name = f"statement-{statement.since:%Y%m%d}-{statement.until:%Y%m%d}.{ending}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)
