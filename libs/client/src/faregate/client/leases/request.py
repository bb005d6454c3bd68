"""Request for a lease, and the bodies of its calls. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from faregate.client.errors import InvalidError
from faregate.wire.credits import to_credits

__all__ = ["LEASES_PATH", "LeaseRequest", "lease_path", "report_body"]

LEASES_PATH = "/api/leases"
_TTL_LIMIT_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """A lease to take; `micros` is the size of the block."""

    feature: str
    user_id: str
    lease_id: str
    micros: int
    ttl_seconds: int
    report_seconds: float
    fsync: bool = False
    organization_id: str | None = None
    metadata: Mapping[str, Any] | None = None

    def check(self) -> "LeaseRequest":
        """Return the request, or raise `InvalidError` for an amount or a time that no lease can have."""
        if self.micros <= 0:
            raise InvalidError("credits must be more than 0: the size of the block", param="credits")
        if not 1 <= self.ttl_seconds <= _TTL_LIMIT_SECONDS:
            raise InvalidError(f"ttl_seconds must be 1 to {_TTL_LIMIT_SECONDS}", param="ttl_seconds")
        if not 0 < self.report_seconds <= self.ttl_seconds / 4:
            raise InvalidError(
                "report_seconds must be more than 0 and at most a quarter of ttl_seconds: reports must arrive before the end",
                param="report_seconds",
            )
        return self

    def body(self) -> dict[str, Any]:
        """Return the body that takes the lease."""
        fields = {
            "user_id": self.user_id,
            "feature_endpoint_id": self.feature,
            "lease_id": self.lease_id,
            "credits": to_credits(self.micros),
            "ttl_seconds": self.ttl_seconds,
            "organization_id": self.organization_id,
            "metadata": dict(self.metadata or {}) or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def lease_path(lease_id: str, action: str) -> str:
    """Return the path of a call about one lease: `renew`, `report` or `release`."""
    return f"{LEASES_PATH}/{quote(lease_id, safe='')}/{action}"


def report_body(uses: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Return the body that reports uses, given as key and micro-credits."""
    return {"uses": [{"usage_key": key, "credits": to_credits(micros)} for key, micros in uses]}
