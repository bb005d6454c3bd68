"""Controller of `/api/portal`: what a visitor of the customers' page sees."""

import csv
import io
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.responses import Response

from faregate.analytics.answers.exploration import Explorer
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError
from faregate.credit.errors import UnknownUsageKeyError, UnknownWalletError
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.gateway.http.operation import Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.bookkeeping import StatementAnswer, statement_answer
from faregate.gateway.schemas.portal import (
    PortalAnswer,
    PortalStatementQuery,
    PortalUsageAnswer,
    PortalUsageQuery,
    PortalUseAnswer,
    PortalUsesQuery,
    portal_usage_answer,
    portal_use_answer,
)
from faregate.gateway.schemas.usage import FeatureUsageAnswer, usage_answer
from faregate.gateway.schemas.wallets import GrantAnswer, grant_answer
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.service import UsageService, UsageStory
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["PortalController", "PortalLook"]

_TOP = 8


@dataclass(frozen=True, slots=True)
class PortalLook:
    """The appearance of the page: its title, its colour, and what it hides (`models`, `features`, `users`)."""

    title: str
    color: str | None
    hidden: frozenset[str]


class PortalController(Controller):
    """One owner's balance, usage, uses, grants and statement. The owner is that of the link; no call names another."""

    def __init__(
        self,
        wallets: WalletService,
        usage: UsageService,
        explorer: Explorer,
        books: Bookkeeping,
        clock: IClock,
        look: PortalLook,
    ) -> None:
        self._wallets = wallets
        self._usage = usage
        self._explorer = explorer
        self._books = books
        self._clock = clock
        self._look = look

    @operation("GET", "/api/portal/me", scope=None, portal=True, answer=PortalAnswer, errors=(UnknownWalletError,))
    async def me(self, call: Call) -> PortalAnswer:
        """Return the owner's balance, and how the page looks."""
        wallet, _ = await self._wallets.get(call.visitor.owner_id)
        return PortalAnswer(
            owner_id=wallet.owner_id,
            title=self._look.title,
            color=self._look.color,
            hidden=sorted(self._look.hidden),
            credits=wallet.free,
            balance=wallet.balance,
            held=wallet.held,
            plan=wallet.plan,
            link_expires_at=call.visitor.expires_at,
        )

    @operation("GET", "/api/portal/usage", scope=None, portal=True, answer=PortalUsageAnswer, errors=(InvalidError,))
    async def usage(self, call: Call, query: PortalUsageQuery) -> PortalUsageAnswer:
        """Return the owner's usage by day and by feature, model or member."""
        if f"{query.by}s" in self._look.hidden:
            raise InvalidError(f"by must not be {query.by}: this page hides it; choose another", param="by")
        user, organization = _owner(call.visitor.owner_id)
        asked = query.question(now=self._clock.now())
        filters = replace(asked.filters, user_id=user or asked.filters.user_id, organization_id=organization)
        question = replace(asked, filters=filters)
        found = await self._explorer.explore(question, query.by, unit="day", amount="credits", top=_TOP)
        return portal_usage_answer(found)

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
        return portal_use_answer(found, hidden=self._look.hidden)

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
        "/api/portal/statement",
        scope=None,
        portal=True,
        answer=StatementAnswer,
        errors=(UnknownWalletError,),
    )
    async def statement(self, call: Call, query: PortalStatementQuery) -> StatementAnswer | Response:
        """Return the owner's statement for a period; with `format=csv` as a file."""
        owner_id = call.visitor.owner_id
        found = statement_answer(owner_id, await self._books.statement(owner_id, since=query.since, until=query.until))
        return found if query.format == "json" else _file(found)

    def _shown(self, use: FeatureUsageAnswer) -> FeatureUsageAnswer:
        hidden = {"feature_key": "features", "user_id": "users"}
        empty = {name: "" for name, part in hidden.items() if part in self._look.hidden}
        return use.model_copy(update={**empty, "metadata": {}})


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


def _file(statement: StatementAnswer) -> Response:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["line", "credits"])
    for name, value in statement.model_dump(exclude={"owner_id", "granted"}).items():
        rows.writerow([name, _cell(value)])
    rows.writerows([f"granted {source}", _cell(amount)] for source, amount in statement.granted.items())
    name = f"statement-{statement.since:%Y%m%d}-{statement.until:%Y%m%d}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
