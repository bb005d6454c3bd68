"""Queries and answers of the operators' lookups."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from faregate.core.monitoring.gauges import Gauge
from faregate.core.monitoring.system import SystemState
from faregate.credit.values import Wallet
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.gateway.schemas.wallets import TransactionAnswer

__all__ = [
    "AllWalletsAnswer",
    "GrantPartAnswer",
    "HoldAnswer",
    "HoldsQuery",
    "ScalingAnswer",
    "SystemAnswer",
    "TransactionGrantsAnswer",
    "WalletListAnswer",
    "WalletsQuery",
    "system_answer",
    "wallet_list_answer",
]

_Text = Annotated[str, Field(min_length=1, max_length=255)]


class WalletsQuery(PageQuery):
    """`prefix`: wallets whose owner id begins with it."""

    prefix: _Text | None = None


class HoldsQuery(PageQuery):
    """Filters of open holds; `user_id` is the user, or the owner of the wallet that pays."""

    user_id: _Text | None = None
    feature_key: _Text | None = None


class WalletListAnswer(Answer):
    """A wallet without its grants; `credits` are the free credits."""

    owner_id: str
    email: str | None
    credits: Decimal
    balance: Decimal
    held: Decimal
    credit_limit: Decimal
    status: str
    plan: str | None


class AllWalletsAnswer(Answer):
    """All wallets together at one moment, in credits: `held` and `earmarked` are parts of `balance`."""

    wallets: int
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    debt: Decimal
    at: datetime


class HoldAnswer(Answer):
    """A use that has started and not ended; `payer_id` owns the wallet that holds `credits`."""

    usage_key: str
    user_id: str
    payer_id: str
    feature_key: str
    charging: str
    credits: Decimal
    expires_at: datetime | None
    created_at: datetime


class GrantPartAnswer(Answer):
    """What a transaction took from one grant (negative) or gave to it."""

    grant_id: UUID
    credits: Decimal
    source: str
    expires_at: datetime | None


class TransactionGrantsAnswer(TransactionAnswer):
    """A transaction, with the grants that it took from or gave to."""

    grants: Sequence[GrantPartAnswer]


class ProcessAnswer(Answer):
    """The last report of a process."""

    instance: str
    role: str
    settled_until: datetime | None
    reported_at: datetime


class JobAnswer(Answer):
    """A scheduled job; `leased_until`: a worker runs it now."""

    name: str
    next_at: datetime
    leased_until: datetime | None
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_error: str | None


class GaugeAnswer(Answer):
    """One measured value, by the name of its metric in `/metrics`."""

    name: str
    meaning: str
    labels: Mapping[str, str]
    value: Decimal | None


class SystemAnswer(Answer):
    """Processes, scheduled jobs and gauges at one moment."""

    processes: Sequence[ProcessAnswer]
    jobs: Sequence[JobAnswer]
    gauges: Sequence[GaugeAnswer]


class ScalingAnswer(Answer):
    """What waits for workers: messages in all queues and by queue, the age of the oldest (null while unknown), and the workers."""

    waiting: int
    queues: Mapping[str, int]
    lag_seconds: Decimal | None
    workers: int


def wallet_list_answer(wallet: Wallet) -> WalletListAnswer:
    """Return a wallet without its grants."""
    return WalletListAnswer.of(wallet, credits=wallet.free)


def system_answer(state: SystemState) -> SystemAnswer:
    """Return the state of the deployment."""
    return SystemAnswer(
        processes=[ProcessAnswer.of(each) for each in state.processes],
        jobs=[JobAnswer.of(each) for each in state.jobs],
        gauges=[_gauge(each) for each in state.gauges],
    )


def _gauge(found: Gauge) -> GaugeAnswer:
    value = Decimal(str(found.value))
    return GaugeAnswer(
        name=found.name,
        meaning=found.description,
        labels=found.labels,
        value=value if value.is_finite() else None,
    )
