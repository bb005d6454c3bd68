"""Record of a reservation in its charge's metadata. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from faregate.credit.ledger.states import ChargeState, ChargeStatus
from faregate.gateway.cycles.amounts import Unit, amount_of
from faregate.gateway.cycles.bodies import CyclesCommitBody, CyclesCreateBody, CyclesEventBody, OveragePolicy
from faregate.gateway.cycles.errors import CyclesError
from faregate.wire import exact_json
from faregate.wire.credits import to_credits

__all__ = [
    "Reservation",
    "commit_record",
    "create_record",
    "digest_of",
    "event_record",
    "hold_seconds",
    "identity_of",
    "milliseconds",
    "not_found",
]

_HOLD_LIMIT_SECONDS = 86_400
_AS_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopabcdef")
_STATUSES = {
    ChargeStatus.OPEN: "ACTIVE",
    ChargeStatus.SETTLED: "COMMITTED",
    ChargeStatus.VOIDED: "RELEASED",
    ChargeStatus.EXPIRED: "EXPIRED",
}


@dataclass(frozen=True)
class Reservation:
    """A charge that was opened by the protocol, with the record that it carries."""

    charge: ChargeState
    user_id: str
    record: Mapping[str, Any]
    now: datetime

    @property
    def unit(self) -> Unit:
        return Unit(self.record["unit"])

    @property
    def reserved(self) -> dict[str, object]:
        """The amount that was asked for, which the hold covers."""
        return {"unit": self.unit.value, "amount": self.record["amount"]}

    @property
    def policy(self) -> OveragePolicy:
        return OveragePolicy(self.record["overage_policy"])

    @property
    def status(self) -> str:
        """The state of the protocol; a hold whose time has passed is expired, whether or not the clock has closed it."""
        if self.charge.status is ChargeStatus.OPEN and milliseconds(self.now) > self.expires_at_ms + self.grace_ms:
            return "EXPIRED"
        return _STATUSES[self.charge.status]

    @property
    def grace_ms(self) -> int:
        return int(self.record["grace_period_ms"])

    @property
    def slack_ms(self) -> int:
        """How much longer the hold lasts than the reservation: the grace period, rounded up to a second."""
        return int(self.record["slack_ms"])

    @property
    def first_expires_at_ms(self) -> int:
        """The expiry that the answer to the creation has told."""
        return milliseconds(self.charge.created_at) + int(self.record["ttl_ms"])

    @property
    def expires_at_ms(self) -> int:
        """The expiry now, extensions included."""
        if self.charge.expires_at is None:
            return self.first_expires_at_ms
        return milliseconds(self.charge.expires_at) - self.slack_ms

    def remaining_ms(self, expires_at_ms: int) -> int:
        """How long the reservation lives from now; 0 if it has ended."""
        return max(0, expires_at_ms - milliseconds(self.now)) if self.status == "ACTIVE" else 0

    @property
    def closing(self) -> Mapping[str, Any]:
        """The record of the commit; empty before it."""
        return self.record.get("commit") or {}

    def committed(self, *, credit_price_usd: Decimal) -> dict[str, object]:
        """The amount that was charged: what was asked for, or what the wallet covered of it."""
        if self.charge.shortfall == 0:
            return {"unit": self.unit.value, "amount": self.closing["amount"]}
        return amount_of(self.unit, to_credits(self.charge.charged), credit_price_usd=credit_price_usd)


def identity_of(user_id: str, endpoint: str, key: str) -> str:
    """Return the usage key of what is created for a payer with an idempotency key: the same for each repetition, whoever asks."""
    return f"cycles:{_sha256([user_id, endpoint, key])[:40]}"


def digest_of(value: object) -> str:
    """Return twelve letters that identify a request or a key; letters, which no redaction takes for a number of a card."""
    plain = value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
    return _sha256(plain)[:12].translate(_AS_LETTERS)


def hold_seconds(body: CyclesCreateBody) -> int:
    """Return how long the hold of a reservation lasts: its time and its grace period."""
    return min(_HOLD_LIMIT_SECONDS, math.ceil((body.ttl_ms + body.grace_period_ms) / 1000))


def create_record(body: CyclesCreateBody) -> dict[str, Any]:
    """Return the metadata of a reservation."""
    seconds = hold_seconds(body)
    ttl_ms = min(body.ttl_ms, seconds * 1000)
    record: dict[str, Any] = {
        "request": digest_of(body),
        "key": digest_of(body.idempotency_key),
        "subject": body.subject.model_dump(exclude_none=True),
        "action": body.action.model_dump(exclude_none=True),
        "unit": body.estimate.unit.value,
        "amount": body.estimate.amount,
        "ttl_ms": ttl_ms,
        "slack_ms": seconds * 1000 - ttl_ms,
        "grace_period_ms": body.grace_period_ms,
        "overage_policy": body.overage_policy.value,
    }
    return {"cycles": record | ({"metadata": body.metadata} if body.metadata else {})}


def commit_record(record: Mapping[str, Any], body: CyclesCommitBody) -> dict[str, Any]:
    """Return the metadata of a reservation that is committed."""
    commit: dict[str, Any] = {
        "key": digest_of(body.idempotency_key),
        "amount": body.actual.amount,
        "metrics": body.metrics.model_dump(exclude_none=True) if body.metrics else None,
        "metadata": body.metadata,
    }
    return {"cycles": {**record, "commit": {name: value for name, value in commit.items() if value is not None}}}


def event_record(body: CyclesEventBody) -> dict[str, Any]:
    """Return the metadata of an event."""
    record: dict[str, Any] = {
        "request": digest_of(body),
        "subject": body.subject.model_dump(exclude_none=True),
        "action": body.action.model_dump(exclude_none=True),
        "unit": body.actual.unit.value,
        "amount": body.actual.amount,
        "metrics": body.metrics.model_dump(exclude_none=True) if body.metrics else None,
        "metadata": body.metadata,
    }
    return {"cycles": {name: value for name, value in record.items() if value is not None}}


def milliseconds(moment: datetime) -> int:
    """Return milliseconds since 1970, exactly."""
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def not_found(reservation_id: str) -> CyclesError:
    """Return the error for an id that no reservation has."""
    return CyclesError(404, "NOT_FOUND", f"no reservation {reservation_id!r}; create one first")


def _sha256(value: object) -> str:
    return sha256(exact_json.dumps(value)).hexdigest()
