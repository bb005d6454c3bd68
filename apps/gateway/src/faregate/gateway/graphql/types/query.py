"""Root of the GraphQL schema."""

from datetime import datetime
from typing import Annotated

import strawberry

from faregate.core.errors import InvalidError
from faregate.credit.errors import UnknownWalletError
from faregate.gateway.controllers.analytics import AnalyticsController
from faregate.gateway.controllers.lookups import LookupsController
from faregate.gateway.controllers.usage import UsageController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.errors import ForbiddenError
from faregate.gateway.graphql.context import GraphContext, GraphInfo
from faregate.gateway.graphql.cost import DEFAULT_PAGE
from faregate.gateway.graphql.types.analytics import AnalyticsNode
from faregate.gateway.graphql.types.arguments import query_of
from faregate.gateway.graphql.types.shown import answered
from faregate.gateway.graphql.types.uses import StoryNode, UsePageNode, story_of, use
from faregate.gateway.graphql.types.wallets import WalletNode, WalletPageNode, wallet
from faregate.gateway.schemas.analytics_query import AnalyticsQuery
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.lookups import WalletsQuery
from faregate.gateway.schemas.usage import UsageQuery
from faregate.gateway.security.auth import Scope
from faregate.wire.ids import organization_owner_id

__all__ = ["Query"]


@strawberry.type(name="Caller", description="The caller of this request.")
class CallerNode:
    """The caller."""

    user_id: strawberry.ID | None = strawberry.field(description="null for a server's key")
    scopes: list[str]
    roles: list[str]


@strawberry.type
class Query:
    """What may be asked. Each field needs the scope of the HTTP call that answers the same; people may read their own data."""

    @answered("Who makes this request, and what they may do.")
    async def caller(self, info: GraphInfo) -> CallerNode:
        principal = info.context.principal
        return CallerNode(
            user_id=strawberry.ID(principal.user_id) if principal.user_id is not None else None,
            scopes=sorted(principal.scopes),
            roles=sorted(principal.roles),
        )

    @answered("A wallet; without `ownerId` the caller's own. Scope wallets:read, or your own.", 3)
    async def wallet(self, info: GraphInfo, owner_id: strawberry.ID | None = None) -> WalletNode | None:
        context = info.context
        wanted = owner_id if owner_id is not None else _own_id(context)
        context.enter(WalletsController.get_wallet, owner_id=wanted)
        found = await context.loaders.wallets.load(wanted)
        if found is None:
            raise UnknownWalletError(wanted)
        return wallet(found[0])

    @answered("Wallets by owner id. Scope wallets:read.", 5, sized_by="limit")
    async def wallets(
        self, info: GraphInfo, prefix: str | None = None, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> WalletPageNode | None:
        context = info.context
        context.enter(LookupsController.list_wallets)
        query = query_of(WalletsQuery, prefix=prefix, limit=limit, cursor=cursor)
        position = position_of(query.cursor, str)
        async with context.slots:
            found = await context.services.wallets.list(
                prefix=query.prefix, after=position[0] if position else None, limit=query.limit
            )
        more = len(found) == query.limit
        return WalletPageNode(
            items=[wallet(each) for each in found], next_cursor=cursor_of(found[-1].owner_id) if more else None
        )

    @answered("Finished uses, the latest start first. Scope usage:read, or your own.", 5, sized_by="limit")
    async def usage(
        self,
        info: GraphInfo,
        user_id: strawberry.ID | None = None,
        organization_id: strawberry.ID | None = None,
        feature_key: strawberry.ID | None = None,
        model: str | None = None,
        from_: Annotated[datetime | None, strawberry.argument(name="from")] = None,
        to: datetime | None = None,
        service: str | None = None,
        provider: str | None = None,
        country: str | None = None,
        device: str | None = None,
        status: str | None = None,
        settled_from: datetime | None = None,
        settled_to: datetime | None = None,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> UsePageNode | None:
        context = info.context
        named = _own_only(context, Scope.USAGE_READ, user_id, "userId")
        owner = named if named is not None else _organization(organization_id)
        context.enter(UsageController.list_usages, owner_id=owner)
        query = query_of(
            UsageQuery,
            **{"from": from_, "to": to},
            user_id=named,
            organization_id=organization_id,
            feature_key=feature_key,
            model=model,
            service=service,
            provider=provider,
            country=country,
            device=device,
            status=status,
            settled_from=settled_from,
            settled_to=settled_to,
            limit=limit,
            cursor=cursor,
        )
        return await _uses(context, query)

    @answered("Everything about one use. Scope usage:read, or your own.", 3)
    async def story(self, info: GraphInfo, usage_key: strawberry.ID) -> StoryNode | None:
        return await story_of(info, usage_key)

    @answered(
        "Usage in a range of time. Scope analytics:read, or your own. `startDate` and `endDate` are dates or times; "
        "without them, the last 30 days."
    )
    async def analytics(
        self,
        info: GraphInfo,
        start_date: str | None = None,
        end_date: str | None = None,
        timezone: str | None = None,
        service: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user_id: strawberry.ID | None = None,
        feature: strawberry.ID | None = None,
        organization_id: strawberry.ID | None = None,
        country: str | None = None,
        device: str | None = None,
        status: str | None = None,
        meter: str | None = None,
        complete: bool = False,
    ) -> AnalyticsNode | None:
        context = info.context
        named = _own_only(context, Scope.ANALYTICS_READ, user_id, "userId")
        query = query_of(
            AnalyticsQuery,
            startDate=start_date,
            endDate=end_date,
            timezone=timezone,
            service=service,
            model=model,
            provider=provider,
            userId=named,
            feature=feature,
            organizationId=organization_id,
            country=country,
            device=device,
            status=status,
            meter=meter,
            complete=complete,
        )
        question = query.question(now=context.services.clock.now())
        context.questions.append(question)
        own = not context.sees(Scope.ANALYTICS_READ)
        if own:
            context.enter(AnalyticsController.my_usage, owner_id=named)
        return AnalyticsNode(start=question.range.start, end=question.range.end, question=question, own=own)


async def _uses(context: GraphContext, query: UsageQuery) -> UsePageNode:
    position = position_of(query.cursor, datetime, str)
    async with context.slots:
        found = await context.services.usage.usages(
            user_id=query.user_id,
            organization_id=query.organization_id,
            feature_key=query.feature_key,
            model=query.model,
            since=query.since,
            until=query.until,
            before=(position[0], position[1]) if position else None,
            limit=query.limit,
            facts=query.facts,
        )
    more = len(found) == query.limit
    cursor = cursor_of(found[-1].started_at, found[-1].usage_key) if more else None
    return UsePageNode(items=[use(each) for each in found], next_cursor=cursor)


def _own_id(context: GraphContext) -> str:
    if context.principal.user_id is None:
        raise InvalidError("ownerId is missing; a server's key has no wallet of its own", param="ownerId")
    return context.principal.user_id


def _own_only(context: GraphContext, scope: Scope, user_id: str | None, name: str) -> str | None:
    """Return the user whose data are asked for; that of a person without the scope is always the person.

    Raises:
        ScopeMissingError: a server's key without the scope. ForbiddenError: a person asks for somebody else.
    """
    if context.sees(scope):
        return user_id
    context.principal.enter(scope, own="me")
    if user_id not in {None, context.principal.user_id}:
        raise ForbiddenError(f"{name} must be your own id, or left out: you may see your own data only", param=name)
    return context.principal.user_id


def _organization(organization_id: str | None) -> str | None:
    return organization_owner_id(organization_id) if organization_id is not None else None
