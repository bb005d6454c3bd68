"""From an event to the row that is stored; here the values that depend on each other are checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NoReturn
from uuid import UUID

from faregate.core import exact_json
from faregate.core.errors import InvalidError
from faregate.core.ids import ORGANIZATION_PREFIX
from faregate.usage.event_keys import identity_of
from faregate.usage.events import UsageEvent
from faregate.usage.meters import BUILT_IN, Meter, in_unit_of

__all__ = [
    "COLUMNS",
    "KEY",
    "PICO",
    "SUBJECT",
    "TIME",
    "Prepared",
    "TimeBounds",
    "check_user_ids",
    "pico_usd",
    "prepare",
]

PICO = 10**12
"""Costs are stored in 10⁻¹² USD."""

COLUMNS = (
    *("version", "time", "event_key", "kind", "subject_id", "organization_id", "service"),
    *("feature_key", "usage_key", "model", "provider", "meter", "quantity", "requests", "calls", "input_tokens"),
    *("output_tokens", "credits", "charged", "cost", "latency_ms", "status", "country", "device", "source"),
    *("external_id", "tags", "metadata"),
)

_KINDS = {"request": 0, "line": 1, "meter": 2}
_STATUSES = {"success": 200, "ok": 200, "failed": 500, "error": 500}
_CREDITS_LIMIT = 10**15
_COST_LIMIT = 10**6 * PICO
_QUANTITY_LIMIT = 10**12


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """What times are accepted, from `earliest` to `latest`; `now` is the time of events that name none."""

    now: datetime
    earliest: datetime
    latest: datetime

    @classmethod
    def around(cls, now: datetime, *, late_days: float, future_seconds: float) -> "TimeBounds":
        """Return the bounds at `now`."""
        return cls(now, now - timedelta(days=late_days), now + timedelta(seconds=future_seconds))


Prepared = tuple[tuple[Any, ...], tuple[UUID, ...]]
"""The row of an event in the order of `COLUMNS`, and the claims that must all be new for it to count."""

TIME, KEY, SUBJECT = (COLUMNS.index(name) for name in ("time", "event_key", "subject_id"))


def prepare(event: UsageEvent, subjects: Mapping[str, int], bounds: TimeBounds, *, version: int = 0) -> Prepared:
    """Return the row and the claims of `event`.

    Raises:
        InvalidError: it contradicts itself, or is too late or too early.
    """
    meter, time, organization, status = event.meter, event.time, event.organization_id, event.status
    kind = _KINDS[event.kind] if event.kind is not None else (0 if meter is None else 2)
    if (kind == 2) != (meter is not None):
        raise InvalidError("an event names a meter exactly if its kind is 'meter'", param="meter")
    if time is None:
        time = bounds.now
    elif not bounds.earliest <= time <= bounds.latest:
        raise _time_error(time, bounds)
    credits, identity = _credits(event.credits), identity_of(event, kind)
    row = (
        version,
        time,
        identity[0],
        kind,
        subjects[event.user_id],
        subjects[ORGANIZATION_PREFIX + organization] if organization is not None else None,
        event.service or meter or event.feature_key or _missing_service(),
        event.feature_key,
        event.usage_key,
        event.model,
        event.provider,
        meter,
        _quantity(event),
        1 if kind == 0 else 0,
        1 if kind < 2 and event.model is not None else 0,
        event.input_tokens,
        event.output_tokens,
        credits,
        credits,
        _cost(event.cost_usd),
        event.latency_ms,
        _STATUSES[status] if isinstance(status, str) else status,
        event.country.upper() if event.country is not None else None,
        event.device,
        event.source or "",
        event.id,
        exact_json.dumps(event.tags).decode() if event.tags else None,
        exact_json.dumps(event.metadata).decode() if event.metadata else None,
    )
    return row, identity[1]


def pico_usd(cost_usd: Decimal | None) -> int | None:
    """Return a cost in 10⁻¹² USD, rounded to the nearest; None stays None."""
    return None if cost_usd is None else int((cost_usd * PICO).to_integral_value(ROUND_HALF_EVEN))


def check_user_ids(event: UsageEvent) -> None:
    """Raise `InvalidError` if the event names an organisation as its user."""
    if event.user_id.startswith(ORGANIZATION_PREFIX):
        raise InvalidError("user_id must not begin with 'org:'; that names an organisation", param="user_id")


def _missing_service() -> NoReturn:
    raise InvalidError("service is needed: what was used, e.g. 'chat'", param="service")


def _time_error(time: datetime, bounds: TimeBounds) -> InvalidError:
    side = "late" if time < bounds.earliest else "early"
    limit = bounds.earliest if time < bounds.earliest else bounds.latest
    return InvalidError(
        f"time is too {side}; accepted now is what happened {_word(side)} {limit:%Y-%m-%dT%H:%M:%SZ}", param="time"
    )


def _word(side: str) -> str:
    return "from" if side == "late" else "until"


def _quantity(event: UsageEvent) -> Decimal | int | None:
    quantity = event.quantity
    if event.meter is None:
        if quantity is not None:
            raise InvalidError("quantity needs a meter; name it, e.g. 'api'", param="quantity")
        return None
    if quantity is None:
        quantity = 1
    if event.unit is not None:
        quantity = in_unit_of(_meter(event.meter), Decimal(quantity), event.unit)
    if not -_QUANTITY_LIMIT < quantity < _QUANTITY_LIMIT:
        raise InvalidError("quantity must be between -10¹² and 10¹²", param="quantity")
    if not isinstance(quantity, int) and quantity * 10**9 % 1:
        raise InvalidError("quantity has more than 9 decimal places", param="quantity")
    return quantity


def _meter(name: str) -> Meter:
    meter = BUILT_IN.get(name)
    if meter is None:
        raise InvalidError(f"{name} has one unit only; leave out `unit`", param="unit")
    return meter


def _credits(credits: Decimal | int | None) -> int:
    if credits is None:
        return 0
    scaled = credits * 1_000_000
    micros = int(scaled)
    if micros != scaled:
        raise InvalidError("credits has more than 6 decimal places", param="credits")
    if not -_CREDITS_LIMIT < micros < _CREDITS_LIMIT:
        raise InvalidError("credits must be between -10⁹ and 10⁹", param="credits")
    return micros


def _cost(cost_usd: Decimal | int | None) -> int | None:
    if cost_usd is None:
        return None
    scaled = cost_usd * PICO
    cost = int(scaled)
    if cost != scaled:
        raise InvalidError("cost_usd has more than 12 decimal places", param="cost_usd")
    if not 0 <= cost < _COST_LIMIT:
        raise InvalidError("cost_usd must be from 0 to 10⁶", param="cost_usd")
    return cost
