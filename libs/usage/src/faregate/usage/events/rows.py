"""Conversion of an event to its database row. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.usage.events.claims import claim_row
from faregate.usage.events.copy_format import NULL, big, integer, jsonb, micros, numeric, small, text
from faregate.usage.events.event import EventFields
from faregate.usage.events.keys import identity_of
from faregate.usage.events.terms import NOT_NEGATIVE, RESERVED, is_reserved
from faregate.usage.meters.meter import BUILT_IN, Meter, in_unit_of
from faregate.usage.pricing.event_costs import EventCosts
from faregate.usage.pricing.pico_usd import PICO
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = [
    "COLUMNS",
    "COST_LIMIT",
    "CREDITS_LIMIT",
    "FIXED",
    "NO_RARE",
    "RARE",
    "SHAPE",
    "STATUSES",
    "WIDTH",
    "Prepared",
    "RowMaker",
    "TimeBounds",
    "rare",
]

COLUMNS = (
    *("version", "time", "event_key", "subject_id", "input_tokens", "output_tokens", "credits", "charged"),
    *(
        "kind",
        "requests",
        "calls",
        "service",
        "feature_key",
        "model",
        "provider",
        "meter",
        "country",
        "device",
        "source",
    ),
    *("usage_key", "external_id", "organization_id", "cost", "latency_ms", "status", "quantity", "tags", "metadata"),
)

_KINDS = {"request": 0, "line": 1, "meter": 2}
STATUSES = {"success": 200, "ok": 200, "failed": 500, "error": 500}
CREDITS_LIMIT = 10**15
COST_LIMIT = 10**6 * PICO
_QUANTITY_LIMIT = 10**12


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """The accepted times, from `earliest` to `latest`; `now` is the time of events without one."""

    now: datetime
    earliest: datetime
    latest: datetime

    @classmethod
    def around(cls, now: datetime, *, late_days: float, future_seconds: float) -> "TimeBounds":
        """Return the bounds at `now`."""
        return cls(now, now - timedelta(days=late_days), now + timedelta(seconds=future_seconds))


FIXED = Struct("!hihiqi16siqiqiqiqiq").pack
SHAPE = ("kind", "meter", "service", "feature_key", "model", "provider", "country", "device", "source")
WIDTH = len(COLUMNS)
RARE = ("quantity", "unit", "tags", "metadata")
NO_RARE = NULL * 3

PricedBy = tuple[str | None, int, int, datetime | None]
"""What a price depends on, besides the model: provider, input and output tokens, and the time."""

Prepared = tuple[bytes, tuple[bytes, ...]]
"""The row of an event in the order of `COLUMNS`, and the rows of the claims that must all be new for it to count; both in
COPY format. Rows of claims sort like their keys."""


class RowMaker:
    """Converts many events to rows; the values that events share are checked and encoded once.

    Checks that depend on more than one field are made here.

    Args:
        subjects: the subject ids of all users, and of organisations (with their prefix).
        bounds: the accepted times.
        costs: prices events that name a model and no cost, and supplies the provider of a model if it is missing.
    """

    def __init__(self, subjects: Mapping[str, int], bounds: TimeBounds, costs: EventCosts) -> None:
        self.subjects = subjects
        self._bounds = bounds
        self._costs = costs
        self.earliest, self.latest, self.now = (micros(at) for at in (bounds.earliest, bounds.latest, bounds.now))
        self._shapes: dict[tuple[Any, ...], tuple[bool, bytes]] = {}

    def prepare(self, event: EventFields, *, version: int = 0, key: bytes | None = None) -> Prepared:
        """Return the row and the claims of an event; `key` overrides the event's identity.

        Raises:
            InvalidError: the event is not consistent, or its time is too long ago or in the future.
        """
        get = event.get
        shape = tuple(map(get, SHAPE))
        counts_use, common = self.common(shape)
        at, user_id, usage_key, external_id = get("time"), event["user_id"], get("usage_key"), get("id")
        time = self.now if at is None else micros(at)
        if not self.earliest <= time <= self.latest:
            raise _time_error(cast("datetime", at), self._bounds)
        if user_id.startswith(ORGANIZATION_PREFIX):
            raise InvalidError("user_id must not begin with 'org:'; that names an organisation", param="user_id")
        identity, claims = identity_of(shape[-1], external_id, usage_key if counts_use else None)
        subject, credits, status = self.subjects[user_id], _credits(get("credits")), get("status")
        read, written = get("input_tokens", 0), get("output_tokens", 0)
        if read < 0 or written < 0:
            raise InvalidError(f"input_tokens and output_tokens {NOT_NEGATIVE}", param="input_tokens")
        organization = get("organization_id")
        fixed = FIXED(
            WIDTH, 2, version, 8, time, 16, key or identity, 8, subject, 8, read, 8, written, 8, credits, 8, credits,
        )  # fmt: skip
        row = (
            fixed,
            common,
            text(usage_key),
            text(external_id),
            NULL if organization is None else big(self.subjects[ORGANIZATION_PREFIX + organization]),
            big(self.cost(get("cost_usd"), get("model"), (get("provider"), read, written, at))),
            integer(get("latency_ms")),
            small(STATUSES[status] if isinstance(status, str) else status),
            NO_RARE
            if shape[1] is None and event.keys().isdisjoint(RARE)
            else rare(get("quantity"), get("unit"), get("tags"), get("metadata"), shape[1]),
        )
        return b"".join(row), tuple([claim_row(one, identity, subject, time) for one in claims])

    def cost(self, given: Decimal | int | None, model: str | None, event: PricedBy) -> int | None:
        """Return the cost of an event in 10⁻¹² USD: as it is given, or from its tokens; None if neither says one.

        Raises:
            InvalidError: the given cost has too many decimal places, or is too large.
        """
        if given is not None or model is None:
            return _cost(given)
        provider, read, written, at = event
        cost = self._costs.cost(model, provider, read, written, at or self._bounds.now)
        return cost if cost is None or cost < COST_LIMIT else None

    def common(self, shape: tuple[Any, ...]) -> tuple[bool, bytes]:
        """Return whether events with these values of `SHAPE` are requests, and the part of the row that they all share.

        Raises:
            InvalidError: the values are not consistent.
        """
        return self._shapes.get(shape) or self._shape(shape)

    def _shape(self, shape: tuple[Any, ...]) -> tuple[bool, bytes]:
        named, meter, service, feature_key, model, provider, country, device, source = shape
        kind = _KINDS[named] if named is not None else (0 if meter is None else 2)
        if (kind == 2) != (meter is not None):
            raise InvalidError("an event must name a meter if, and only if, its kind is 'meter'", param="meter")
        if is_reserved(source):
            raise InvalidError(f"source {RESERVED}", param="source")
        service = service or meter or feature_key
        if not service:
            raise InvalidError("service is required: what was used, e.g. 'chat'", param="service")
        if model is not None and provider is None:
            provider = self._costs.provider(model, self._bounds.now)
        counts = (kind, 1 if kind == 0 else 0, 1 if kind < 2 and model is not None else 0)
        names = (
            service,
            feature_key,
            model,
            provider,
            meter,
            country.upper() if country else None,
            device,
            source or "",
        )
        made = kind == 0, b"".join((*map(small, counts), *map(text, names)))
        self._shapes[shape] = made
        return made


def rare(
    quantity: Decimal | int | None,
    unit: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any] | None,
    meter: str | None,
) -> bytes:
    """Return the part of a row that few events fill: the values of `RARE`, converted to the meter's unit.

    Raises:
        InvalidError: the quantity does not fit the meter.
    """
    return b"".join(
        (
            numeric(_quantity(quantity, unit, meter)),
            jsonb(exact_json.dumps(tags) if tags else None),
            jsonb(exact_json.dumps(metadata) if metadata else None),
        )
    )


def _time_error(time: datetime, bounds: TimeBounds) -> InvalidError:
    if time < bounds.earliest:
        problem = f"is too long ago; send events that happened at {bounds.earliest:%Y-%m-%dT%H:%M:%SZ} or later"
        setting = "FAREGATE_LATE_EVENT_DAYS"
    else:
        problem = f"is in the future; send events that happened at {bounds.latest:%Y-%m-%dT%H:%M:%SZ} or earlier"
        setting = "FAREGATE_FUTURE_EVENT_SECONDS"
    return InvalidError(f"time {problem} (the operator's setting {setting} is the limit)", param="time")


def _quantity(quantity: Decimal | int | None, unit: str | None, meter: str | None) -> Decimal | int | None:
    if meter is None:
        if quantity is not None:
            raise InvalidError("quantity requires a meter; name it, e.g. 'api'", param="quantity")
        return None
    if quantity is None:
        quantity = 1
    if unit is not None:
        quantity = in_unit_of(_meter(meter), Decimal(quantity), unit)
    if quantity < 0:
        raise InvalidError(f"quantity {NOT_NEGATIVE}", param="quantity")
    if quantity >= _QUANTITY_LIMIT:
        raise InvalidError("quantity must be below 10¹²", param="quantity")
    if 10**9 % quantity.as_integer_ratio()[1]:
        raise InvalidError("quantity has more than 9 decimal places; round it", param="quantity")
    return quantity


def _meter(name: str) -> Meter:
    meter = BUILT_IN.get(name)
    if meter is None:
        raise InvalidError(f"{name} has only one unit; omit `unit`", param="unit")
    return meter


def _credits(credits: Decimal | int | None) -> int:
    if credits is None:
        return 0
    over, under = credits.as_integer_ratio()
    micros, rest = divmod(over * 1_000_000, under)
    if rest:
        raise InvalidError("credits has more than 6 decimal places; round it", param="credits")
    if micros < 0:
        raise InvalidError(f"credits {NOT_NEGATIVE}", param="credits")
    if micros >= CREDITS_LIMIT:
        raise InvalidError("credits must be below 10⁹", param="credits")
    return micros


def _cost(cost_usd: Decimal | int | None) -> int | None:
    if cost_usd is None:
        return None
    over, under = cost_usd.as_integer_ratio()
    cost, rest = divmod(over * PICO, under)
    if rest:
        raise InvalidError("cost_usd has more than 12 decimal places; round it", param="cost_usd")
    if cost < 0:
        raise InvalidError(f"cost_usd {NOT_NEGATIVE}", param="cost_usd")
    if cost >= COST_LIMIT:
        raise InvalidError("cost_usd must be below 10⁶", param="cost_usd")
    return cost
