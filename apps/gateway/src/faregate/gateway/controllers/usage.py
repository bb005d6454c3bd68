"""Controller of `/api/usage`: uses in one call, and finished uses."""

from datetime import datetime

from faregate.credit.errors import (
    HoldMismatchError,
    InsufficientCreditsError,
    SpendingLimitError,
    UnknownUsageKeyError,
    UsageKeyConflictError,
    WalletClosedError,
    WalletFrozenError,
    unknown_usage_key,
)
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.prices import DebitBody
from faregate.gateway.schemas.usage import (
    FeatureUsageAnswer,
    RecordUsageBody,
    UsageQuery,
    UseStoryAnswer,
    usage_answer,
    use_story_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import (
    FeatureInactiveError,
    FeatureNotAllowedError,
    NotAMemberError,
    UnknownFeatureError,
    UnknownOrganizationError,
)
from faregate.usage.service import UsageService

__all__ = ["UsageController"]

_MEMBERSHIP = (UnknownOrganizationError, NotAMemberError)


class UsageController(Controller):
    """Uses over HTTP."""

    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    @operation(
        "POST",
        "/api/usage",
        scope=Scope.USAGE_WRITE,
        answer=FeatureUsageAnswer,
        status=201,
        errors=(
            UnknownFeatureError,
            FeatureInactiveError,
            FeatureNotAllowedError,
            *_MEMBERSHIP,
            InsufficientCreditsError,
            SpendingLimitError,
            WalletClosedError,
            WalletFrozenError,
            UsageKeyConflictError,
            HoldMismatchError,
        ),
        links={"status": link("credits-process.story", path={"usage_key": "usage_key"})},
    )
    async def record(self, call: Call, body: RecordUsageBody) -> FeatureUsageAnswer:
        """Use a feature and charge for it, in one call."""
        usage = await self._usage.record_usage(
            body.feature_key,
            body.user_id,
            usage_key=body.usage_key,
            organization_id=body.organization_id,
            usages=[line.usage_line() for line in body.usages],
            metadata=body.metadata,
            spender=call.spender,
        )
        return usage_answer(usage)

    @operation(
        "POST",
        "/api/wallets/{owner_id}/debits",
        scope=Scope.WALLETS_WRITE,
        answer=FeatureUsageAnswer,
        status=201,
        errors=(
            *_MEMBERSHIP,
            InsufficientCreditsError,
            SpendingLimitError,
            WalletClosedError,
            WalletFrozenError,
            UsageKeyConflictError,
            HoldMismatchError,
        ),
        links={"status": link("credits-process.story", path={"usage_key": "usage_key"})},
    )
    async def debit(self, call: Call, owner_id: str, body: DebitBody) -> FeatureUsageAnswer:
        """Record and charge an amount for a service."""
        usage = await self._usage.debit(
            owner_id,
            body.service,
            body.credits,
            usage_key=body.usage_key or call.derived_key,
            organization_id=body.organization_id,
            metadata=body.metadata,
            actor=call.principal.id,
            reason=body.reason,
            spender=call.spender,
        )
        return usage_answer(usage)

    @operation(
        "GET",
        "/api/usage",
        scope=Scope.USAGE_READ,
        own="user_id",
        answer=list[FeatureUsageAnswer],
        links={
            "status": link("credits-process.story", path={"usage_key": "0/usage_key"}),
            "read": link("usage.get_use", path={"usage_key": "0/usage_key"}),
        },
        audit=Audit.PERSONAL,
    )
    async def list_usages(self, query: UsageQuery) -> Page:
        """List finished uses, the latest start first."""
        position = position_of(query.cursor, datetime, str)
        usages = await self._usage.usages(
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
        more = len(usages) == query.limit
        cursor = cursor_of(usages[-1].started_at, usages[-1].usage_key) if more else None
        return Page([usage_answer(usage) for usage in usages], cursor)

    @operation(
        "GET",
        "/api/usage/{usage_key}",
        scope=Scope.USAGE_READ,
        own="me",
        answer=UseStoryAnswer,
        errors=(UnknownUsageKeyError,),
        audit=Audit.PERSONAL,
    )
    async def get_use(self, call: Call, usage_key: str) -> UseStoryAnswer:
        """Return one use: hold, outcome, lines and transactions, without the seller's costs."""
        found = await self._usage.story(usage_key)
        if not call.principal.may(Scope.USAGE_READ) and found.user_id != call.principal.user_id:
            raise unknown_usage_key(usage_key)
        return use_story_answer(found)
