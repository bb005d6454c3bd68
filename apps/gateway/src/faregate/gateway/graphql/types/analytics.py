"""GraphQL types of analytics: totals, breakdowns, series and rankings of one question."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import strawberry

from faregate.analytics.question.filters import Question
from faregate.gateway.controllers.analytics import AnalyticsController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.graphql.context import GraphInfo
from faregate.gateway.graphql.scalars import Long
from faregate.gateway.graphql.types.arguments import query_of
from faregate.gateway.graphql.types.shown import ForSellers, Shown, answered
from faregate.gateway.graphql.types.wallets import WalletNode, wallet
from faregate.gateway.schemas import analytics as shapes
from faregate.gateway.schemas.analytics_query import DistributionQuery, SeriesQuery, TopUsersQuery
from faregate.gateway.security.auth import Scope

__all__ = [
    "AnalyticsNode",
    "MetricsNode",
    "ModelUsageNode",
    "ServiceUsageNode",
    "TopUserNode",
    "UsagePartNode",
    "UsagePointNode",
]

_POINTS = 10
_SELLER = "needs the scope analytics:read"


@strawberry.enum(description="The length of the periods of a series.")
class Period(Enum):
    """The length of the periods of a series."""

    QUARTER_HOUR = "quarter-hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@strawberry.enum(description="The amount by which users are ranked.")
class RankedBy(Enum):
    """The amount by which users are ranked."""

    CREDITS = "credits"
    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"


@strawberry.enum(name="Dimension", description="The dimension of a distribution.")
class UsageDimension(Enum):
    """The dimension of a distribution."""

    COUNTRY = "country"
    DEVICE = "device"
    HOUR = "hour"
    PROVIDER = "provider"
    FEATURE = "feature"
    ORGANIZATION = "organization"
    STATUS = "status"
    METER = "meter"


@strawberry.type(name="Metrics", description="Totals. Response times are milliseconds, rates 0 … 1.")
class MetricsNode(Shown):
    """Totals."""

    total_requests: Long
    total_tokens: Long
    total_credits: Decimal
    charged_credits: Decimal
    average_response_time: Decimal | None
    p50_response_time: Decimal | None
    p95_response_time: Decimal | None
    p99_response_time: Decimal | None
    error_rate: Decimal | None
    unique_users: Long
    provider_cost_usd: Decimal | None = strawberry.field(
        description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)]
    )
    cost_per_request: Decimal | None = strawberry.field(
        description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)]
    )
    margin_credits: Decimal | None = strawberry.field(
        description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)]
    )
    unpriced: Long | None = strawberry.field(description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)])


@strawberry.type(name="ServiceUsage", description="Usage of one service.")
class ServiceUsageNode(Shown):
    """Usage of one service."""

    service: str
    requests: Long
    tokens: Long
    credits: Decimal
    average_response_time: Decimal | None
    error_rate: Decimal | None


@strawberry.type(name="ModelUsage", description="Usage of one model of one provider; `requests` counts its calls.")
class ModelUsageNode(Shown):
    """Usage of one model."""

    model: str
    provider: str | None
    requests: Long
    input_tokens: Long
    output_tokens: Long
    tokens: Long
    credits: Decimal
    average_response_time: Decimal | None
    error_rate: Decimal | None
    provider_cost_usd: Decimal | None = strawberry.field(
        description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)]
    )
    margin: Decimal | None = strawberry.field(description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)])
    unpriced: Long | None = strawberry.field(description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)])


@strawberry.type(name="UsagePoint", description="Usage in one period, which begins at `period`.")
class UsagePointNode(Shown):
    """Usage in one period."""

    period: datetime
    requests: Long
    tokens: Long
    credits: Decimal
    unique_users: Long
    errors: Long
    provider_cost_usd: Decimal | None = strawberry.field(
        description=_SELLER, extensions=[ForSellers(Scope.ANALYTICS_READ)]
    )


@strawberry.type(name="TopUser", description="Usage of one user.")
class TopUserNode(Shown):
    """Usage of one user."""

    user_id: strawberry.ID
    email: str | None
    total_requests: Long
    total_tokens: Long
    total_credits: Decimal
    last_activity: datetime

    @answered("The wallet of the user.", 2)
    async def wallet(self, info: GraphInfo) -> WalletNode | None:
        info.context.enter(WalletsController.get_wallet, owner_id=self.user_id)
        found = await info.context.loaders.wallets.load(self.user_id)
        return wallet(found[0]) if found is not None else None


@strawberry.type(
    name="UsagePart", description="Usage of one value of a dimension; `value` is null for facts without one."
)
class UsagePartNode(Shown):
    """Usage of one value of a dimension."""

    value: str | None
    requests: Long
    tokens: Long
    credits: Decimal
    error_rate: Decimal | None


@strawberry.type(name="FeatureReturn", description="Charges of one feature less the costs of its providers.")
class FeatureReturnNode(Shown):
    """Charges of one feature less its costs."""

    feature: str | None
    requests: Long
    charged_credits: Decimal
    provider_cost_usd: Decimal
    margin_credits: Decimal
    return_rate: Decimal | None
    unpriced: Long


_Question: TypeAlias = strawberry.Private[Question]


@strawberry.type(
    name="Analytics", description="Usage from `start` (included) to `end` (excluded) that matches all filters."
)
class AnalyticsNode:
    """The answers to one question."""

    start: datetime
    end: datetime
    question: _Question
    own: strawberry.Private[bool]

    @answered("The totals.", _POINTS)
    async def metrics(self, info: GraphInfo, exact: bool = False) -> MetricsNode | None:
        self._enter(info, "metrics")
        services = info.context.services
        async with info.context.slots:
            found = await services.analytics.metrics(self.question, exact=exact)
        return MetricsNode.of_answer(shapes.metrics_answer(found, services.credit_price_usd))

    @answered("Usage by service, most credits first.", _POINTS, items=10)
    async def services(self, info: GraphInfo) -> list[ServiceUsageNode] | None:
        self._enter(info, "services")
        async with info.context.slots:
            parts = await info.context.services.analytics.breakdown(self.question, "service")
        return [ServiceUsageNode.of_answer(shapes.service_answer(part)) for part in parts]

    @answered("Usage by model and provider, most credits first.", _POINTS, items=20)
    async def models(self, info: GraphInfo) -> list[ModelUsageNode] | None:
        self._enter(info, "models")
        services = info.context.services
        async with info.context.slots:
            parts = await services.analytics.breakdown(self.question, "model")
        return [ModelUsageNode.of_answer(shapes.model_answer(part, services.credit_price_usd)) for part in parts]

    @answered("Usage by period, including empty ones.", _POINTS, items=100)
    async def timeseries(self, info: GraphInfo, group_by: Period = Period.DAY) -> list[UsagePointNode] | None:
        self._enter(info, "timeseries")
        unit = query_of(SeriesQuery, groupBy=group_by.value).groupBy
        async with info.context.slots:
            points = await info.context.services.analytics.series(self.question, unit)
        return [UsagePointNode.of_answer(shapes.point_answer(point)) for point in points]

    @answered("The users with the highest amounts.", _POINTS, sized_by="limit")
    async def top_users(
        self, info: GraphInfo, limit: int = 10, by: RankedBy = RankedBy.CREDITS
    ) -> list[TopUserNode] | None:
        self._enter(info, "top_users")
        query = query_of(TopUsersQuery, limit=limit, by=by.value)
        async with info.context.slots:
            users = await info.context.services.analytics.top_users(self.question, by=query.by, limit=query.limit)
        return [TopUserNode.of_answer(shapes.top_user_answer(user)) for user in users]

    @answered("Usage by another dimension; needs the scope analytics:read.", _POINTS, items=25)
    async def distribution(
        self, info: GraphInfo, by: UsageDimension = UsageDimension.COUNTRY
    ) -> list[UsagePartNode] | None:
        info.context.enter(AnalyticsController.distribution, owner_id=self.question.filters.user_id)
        dimension = query_of(DistributionQuery, by=by.value).by
        async with info.context.slots:
            parts = await info.context.services.patterns.distribution(self.question, dimension)
        answers = [shapes.part_answer(part) for part in parts]
        return [
            UsagePartNode.of_answer(answer, value=None if answer.value is None else str(answer.value))
            for answer in answers
        ]

    @answered("Charges less costs by feature; needs the scope analytics:read.", _POINTS, items=20)
    async def profitability(self, info: GraphInfo) -> list[FeatureReturnNode] | None:
        info.context.enter(AnalyticsController.profitability, owner_id=self.question.filters.user_id)
        async with info.context.slots:
            found = await info.context.services.patterns.profitability(self.question)
        return [FeatureReturnNode.of_answer(shapes.return_answer(item)) for item in found]

    def _enter(self, info: GraphInfo, name: str) -> None:
        """Note the read of the HTTP call of this name; people read their own usage as by `my_usage`."""
        twin = AnalyticsController.my_usage if self.own else getattr(AnalyticsController, name)
        info.context.enter(twin, owner_id=self.question.filters.user_id)
