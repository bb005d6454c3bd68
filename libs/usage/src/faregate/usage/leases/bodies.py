"""Request bodies of leases."""

from typing import Annotated

from pydantic import Field

from faregate.core.values.fields import AtMost, Body, Count, Credits, ExternalId, Metadata
from faregate.core.values.json_items import ITEMS_LIMIT
from faregate.usage.credits_process.bodies import FeatureBody
from faregate.usage.leases.values import LeaseUse
from faregate.usage.values import StartRequest

__all__ = ["LeaseBody", "LeaseRenewBody", "LeaseReportBody", "LeaseUseBody"]

_Ttl = Annotated[Count, Field(ge=1, le=86_400, examples=[60])]
_Block = Annotated[Credits, Field(gt=0, examples=[100])]


class LeaseBody(FeatureBody):
    """`POST /api/leases`."""

    credits: _Block
    ttl_seconds: _Ttl = 60
    lease_id: ExternalId | None = None
    organization_id: ExternalId | None = None
    metadata: Metadata | None = None

    def request(self, *, lease_id: str | None, spender: str | None) -> StartRequest:
        """Return the start of the hold that the block is."""
        return StartRequest(
            user_id=self.user_id,
            feature=self.feature,
            usage_key=lease_id,
            organization_id=self.organization_id,
            estimated_credits=self.credits,
            ttl_seconds=self.ttl_seconds,
            metadata=self.metadata,
            spender=spender,
        )


class LeaseRenewBody(Body):
    """`POST /api/leases/{lease_id}/renew`; `credits` is what the block should hold afterwards."""

    ttl_seconds: _Ttl = 60
    credits: _Block | None = None


class LeaseUseBody(Body):
    """One use that the client decided."""

    usage_key: ExternalId
    credits: Annotated[Credits, Field(ge=0, examples=[0.25])]


class LeaseReportBody(Body):
    """`POST /api/leases/{lease_id}/report`."""

    uses: Annotated[list[LeaseUseBody], AtMost(ITEMS_LIMIT)]

    def reported(self) -> list[LeaseUse]:
        """Return the uses in their final form."""
        return [LeaseUse(use.usage_key, use.credits) for use in self.uses]
