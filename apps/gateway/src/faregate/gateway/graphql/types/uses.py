"""GraphQL types of uses and their stories."""

from datetime import datetime
from decimal import Decimal

import strawberry

from faregate.analytics.answers.story import StoryEvent
from faregate.credit.errors import unknown_usage_key
from faregate.feature_log.values import FeatureLog
from faregate.gateway.controllers.feature_logs import FeatureLogsController
from faregate.gateway.controllers.usage import UsageController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.graphql.context import GraphInfo
from faregate.gateway.graphql.cost import PAGE, priced
from faregate.gateway.graphql.scalars import JSON, Long
from faregate.gateway.graphql.types.shown import ForSellers, Shown, answered
from faregate.gateway.graphql.types.wallets import TransactionNode, WalletNode, transaction, wallet
from faregate.gateway.security.auth import Scope
from faregate.usage.service import UsageStory
from faregate.usage.values import FeatureUsage, UsageLine

__all__ = ["ModelLineNode", "StoryNode", "UsageEventNode", "UseLogNode", "UseNode", "UsePageNode", "story_of", "use"]

_COSTS = (Scope.ANALYTICS_READ, Scope.CREDITS_PROCESS)
"""Scopes that the HTTP calls require that show provider costs."""


@strawberry.type(
    name="ModelLine", description="One model's part of a use; an unpriced one has neither cost nor credits."
)
class ModelLineNode:
    """One model's part of a use."""

    model: str | None
    provider: str | None
    input_tokens: Long
    output_tokens: Long
    credits: Decimal
    unpriced: bool
    provider_cost_usd: Decimal | None = strawberry.field(
        description="needs the scope analytics:read or credits:process", extensions=[ForSellers(*_COSTS)]
    )
    margin_percent: Decimal | None = strawberry.field(
        description="needs the scope analytics:read or credits:process", extensions=[ForSellers(*_COSTS)]
    )
    price_version: str | None = strawberry.field(
        description="needs the scope analytics:read or credits:process", extensions=[ForSellers(*_COSTS)]
    )


@strawberry.type(name="UsageEvent", description="One counted usage event of a use: `request`, `line` or `meter`.")
class UsageEventNode(Shown):
    """One usage event."""

    time: datetime
    kind: str
    service: str
    model: str | None
    provider: str | None
    meter: str | None
    quantity: Decimal | None
    input_tokens: Long
    output_tokens: Long
    credits: Decimal
    latency_ms: Long | None
    status: int | None
    source: str


@strawberry.type(name="UseLog", description="One feature log of a use, without bodies.")
class UseLogNode(Shown):
    """One feature log."""

    id: strawberry.ID
    logged_at: datetime
    method: str
    code: int
    status: str
    endpoint: str | None
    type: str | None
    duration_ms: Long | None


@strawberry.type(name="Story", description="All data about one use: hold, outcome, lines, transactions, events, logs.")
class StoryNode(Shown):
    """All data about one use."""

    usage_key: strawberry.ID
    user_id: strawberry.ID
    organization_id: strawberry.ID | None
    feature_key: strawberry.ID
    charging: str
    status: str
    hold: Decimal
    expires_at: datetime | None
    credits_consumed: Decimal
    credits_charged: Decimal
    shortfall: Decimal
    flags: list[str]
    reason: str | None
    duration_ms: Long | None
    metadata: JSON | None
    created_at: datetime
    closed_at: datetime | None
    settled_at: datetime | None
    lines: list[ModelLineNode] = strawberry.field(metadata=priced(items=5))
    transactions: list[TransactionNode] = strawberry.field(metadata=priced(items=3))
    found: strawberry.Private[UsageStory]

    @answered("The counted usage events.", 3, items=10)
    async def events(self, info: GraphInfo) -> list[UsageEventNode]:
        return [_event(each) for each in await info.context.loaders.events.load(self.found)]

    @answered("The feature logs, newest first; needs the scope logs:read.", 3, items=5)
    async def feature_logs(self, info: GraphInfo) -> list[UseLogNode] | None:
        info.context.enter(FeatureLogsController.list_logs, owner_id=self.user_id)
        return [_log(each) for each in await info.context.loaders.logs.load(self.found)]


@strawberry.type(name="Use", description="A finished use.")
class UseNode(Shown):
    """A finished use."""

    id: strawberry.ID
    usage_key: strawberry.ID
    user_id: strawberry.ID
    organization_id: strawberry.ID | None
    feature_key: strawberry.ID
    credits_consumed: Decimal
    credits_charged: Decimal
    metadata: JSON | None
    executed_at: datetime

    @answered("All data about the use.", 3)
    async def story(self, info: GraphInfo) -> StoryNode | None:
        return await story_of(info, self.usage_key)

    @answered("The wallet of the user.", 2)
    async def wallet(self, info: GraphInfo) -> WalletNode | None:
        info.context.enter(WalletsController.get_wallet, owner_id=self.user_id)
        found = await info.context.loaders.wallets.load(self.user_id)
        return wallet(found[0]) if found is not None else None


@strawberry.type(name="UsePage", description="A page of finished uses, the latest start first.")
class UsePageNode:
    """A page of finished uses."""

    items: list[UseNode] = strawberry.field(metadata=priced(items=PAGE))
    next_cursor: str | None = strawberry.field(description="send it as `cursor` for the next page; null on the last")


async def story_of(info: GraphInfo, usage_key: str) -> StoryNode:
    """Return the story of one use.

    Raises:
        UnknownUsageKeyError: there is none, or the caller may not see it.
    """
    context = info.context
    context.principal.enter(Scope.USAGE_READ, own="me")
    found = await context.loaders.uses.load(usage_key)
    if found is None or not (context.sees(Scope.USAGE_READ) or found.user_id == context.principal.user_id):
        raise unknown_usage_key(usage_key)
    context.enter(UsageController.get_use, owner_id=found.user_id)
    return _story(found)


def use(value: FeatureUsage) -> UseNode:
    """Return one finished use."""
    return UseNode.of(value)


def _story(found: UsageStory) -> StoryNode:
    return StoryNode.of(
        found.charge,
        found=found,
        user_id=found.user_id,
        organization_id=found.organization_id,
        charging=found.charge.rule,
        flags=list(found.charge.flags),
        lines=[_line(line) for line in found.lines],
        transactions=[transaction(each) for each in found.transactions],
    )


def _line(line: UsageLine) -> ModelLineNode:
    tokens = line.usage.tokens
    return ModelLineNode(
        model=line.usage.model,
        provider=line.provider,
        input_tokens=Long(tokens.get("input_tokens", 0)),
        output_tokens=Long(tokens.get("output_tokens", 0)),
        credits=line.credits,
        unpriced=line.unpriced,
        provider_cost_usd=line.provider_cost_usd,
        margin_percent=line.margin_percent,
        price_version=line.price_version,
    )


def _event(event: StoryEvent) -> UsageEventNode:
    return UsageEventNode.of(event)


def _log(log: FeatureLog) -> UseLogNode:
    return UseLogNode.of(log, id=str(log.id))
