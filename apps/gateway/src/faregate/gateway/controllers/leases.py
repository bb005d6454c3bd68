"""Controller of `/api/leases`: take, renew, report, release."""

from faregate.credit.errors import (
    AlreadySettledError,
    HoldClosedError,
    InsufficientCreditsError,
    SpendingLimitError,
    UnknownUsageKeyError,
    UsageKeyConflictError,
    WalletClosedError,
    WalletFrozenError,
)
from faregate.gateway.http.operation import Call, Controller, link, operation
from faregate.gateway.schemas.leases import LeaseAnswer, LeaseReportAnswer, lease_answer, report_answer
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import (
    FeatureInactiveError,
    FeatureNotAllowedError,
    NotAMemberError,
    UnknownFeatureError,
    UnknownOrganizationError,
    UnpricedError,
)
from faregate.usage.leases.bodies import LeaseBody, LeaseRenewBody, LeaseReportBody
from faregate.usage.leases.service import LeaseService

__all__ = ["LeasesController"]

_SCOPE = Scope.CREDITS_PROCESS
_FROZEN = (WalletClosedError, WalletFrozenError)
_CLOSED = (AlreadySettledError, HoldClosedError)
_LEASE = {"lease_id": "lease_id"}


class LeasesController(Controller):
    """Blocks of credits whose uses a client decides locally."""

    def __init__(self, leases: LeaseService) -> None:
        self._leases = leases

    @operation(
        "POST",
        "/api/leases",
        scope=_SCOPE,
        answer=LeaseAnswer,
        status=201,
        idempotent=False,
        errors=(
            UnknownFeatureError,
            FeatureInactiveError,
            FeatureNotAllowedError,
            UnpricedError,
            UnknownOrganizationError,
            NotAMemberError,
            InsufficientCreditsError,
            SpendingLimitError,
            *_FROZEN,
            UsageKeyConflictError,
            *_CLOSED,
        ),
        links={
            "renew": link("leases.renew", path=_LEASE),
            "report": link("leases.report", path=_LEASE),
            "release": link("leases.release", path=_LEASE),
            "status": link("leases.get", path=_LEASE),
        },
    )
    async def take(self, call: Call, body: LeaseBody) -> LeaseAnswer:
        """Take a block of credits, to decide uses of a feature locally.

        The block is a hold on the payer's wallet: it is given whole or refused, and what is not used returns when it is released
        or expires. The same `lease_id` with the same request returns the same lease.
        """
        lease_id = body.lease_id or call.derived_key
        return lease_answer(await self._leases.take(body.request(lease_id=lease_id, spender=call.spender)))

    @operation("GET", "/api/leases/{lease_id}", scope=_SCOPE, answer=LeaseAnswer, errors=(UnknownUsageKeyError,))
    async def get(self, lease_id: str) -> LeaseAnswer:
        """Return a lease."""
        return lease_answer(await self._leases.get(lease_id))

    @operation(
        "POST",
        "/api/leases/{lease_id}/renew",
        scope=_SCOPE,
        answer=LeaseAnswer,
        errors=(UnknownUsageKeyError, *_CLOSED, *_FROZEN),
    )
    async def renew(self, lease_id: str, body: LeaseRenewBody) -> LeaseAnswer:
        """Extend a lease and top up its block.

        The block is topped up to `credits`, as far as the wallet's free credits and spending limits allow; it is never reduced.
        Repeating the call changes nothing but the expiry.
        """
        lease = await self._leases.renew(lease_id, ttl_seconds=body.ttl_seconds, credits=body.credits)
        return lease_answer(lease)

    @operation(
        "POST",
        "/api/leases/{lease_id}/report",
        scope=_SCOPE,
        answer=LeaseReportAnswer,
        errors=(UnknownUsageKeyError, HoldClosedError),
    )
    async def report(self, lease_id: str, body: LeaseReportBody) -> LeaseReportAnswer:
        """Charge uses that were decided locally, each once by its `usage_key`.

        They are charged from the block. After the lease has ended they are charged to the wallet's free credits and flagged
        `late`, until `FAREGATE_LEASE_GRACE_SECONDS` have passed. A refused use does not affect the others.
        """
        return report_answer(await self._leases.report(lease_id, body.reported()))

    @operation(
        "POST",
        "/api/leases/{lease_id}/release",
        scope=_SCOPE,
        answer=LeaseAnswer,
        errors=(UnknownUsageKeyError, AlreadySettledError),
    )
    async def release(self, lease_id: str) -> LeaseAnswer:
        """End a lease and return the rest of its block.

        Report all uses first. Releasing a lease that has ended changes nothing.
        """
        return lease_answer(await self._leases.release(lease_id))
