"""Answers of `/api/leases`."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from faregate.gateway.schemas.base import Answer
from faregate.usage.leases.values import LeaseReport, LeaseState, ReportedUse
from faregate.usage.values import Rule

__all__ = ["LeaseAnswer", "LeaseReportAnswer", "LeaseUseAnswer", "lease_answer", "report_answer"]

LeaseStatus = Literal["open", "voided", "expired", "settled"]


class LeaseAnswer(Answer):
    """A lease. `credits` is what its block holds: what was taken, less the uses that were reported.

    Where `charging` is `recorded`, nobody pays: the block holds nothing, and does not bound what is used.
    """

    lease_id: str
    user_id: str
    feature_key: str
    status: LeaseStatus
    credits: Decimal
    expires_at: datetime
    charging: Rule


class LeaseUseAnswer(Answer):
    """The outcome of one reported use; `code` and `detail` say why it was refused, and are null if it was charged."""

    usage_key: str
    charged: Decimal
    shortfall: Decimal
    flags: list[str]
    replayed: bool
    code: str | None
    detail: str | None


class LeaseReportAnswer(LeaseAnswer):
    """The lease after the report. `charged` is the sum of what the uses were charged for the first time by this report."""

    charged: Decimal
    uses: list[LeaseUseAnswer]


def lease_answer(lease: LeaseState) -> LeaseAnswer:
    """Return the answer for a lease."""
    return LeaseAnswer.of(lease)


def report_answer(report: LeaseReport) -> LeaseReportAnswer:
    """Return the answer for a report."""
    charged = sum((use.charged for use in report.uses if not use.replayed), Decimal(0))
    return LeaseReportAnswer.of(report.lease, charged=charged, uses=[_use_answer(use) for use in report.uses])


def _use_answer(use: ReportedUse) -> LeaseUseAnswer:
    error = use.error
    return LeaseUseAnswer(
        usage_key=use.usage_key,
        charged=use.charged,
        shortfall=use.shortfall,
        flags=use.flags.words,
        replayed=use.replayed,
        code=error.code if error else None,
        detail=error.detail if error else None,
    )
