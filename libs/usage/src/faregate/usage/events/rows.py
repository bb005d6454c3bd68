"""Conversion of an event to its database row. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any, cast
from uuid import UUID

from faregate.core.errors import InvalidError
from faregate.core.values.uuids import uuid_of
from faregate.usage.events.copy_format import NULL, big, integer, jsonb, micros, moment_of, numeric, small, text
from faregate.usage.events.event import EventFields
from faregate.usage.events.keys import identity_of
from faregate.usage.events.terms import NOT_NEGATIVE, RESERVED, is_reserved
from faregate.usage.meters.meter import BUILT_IN, Meter, in_unit_of
from faregate.usage.pricing.event_costs import EventCosts
from faregate.usage.pricing.pico_usd import PICO
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = [
    "CLAIM_COLUMNS",
    "COLUMNS",
    "Claim",
    "Prepared",
    "RowMaker",
    "TimeBounds",
    "claim_key",
    "claim_of",
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
_STATUSES = {"success": 200, "ok": 200, "failed": 500, "error": 500}
_CREDITS_LIMIT = 10**15
_COST_LIMIT = 10**6 * PICO
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on an identity: its key, and the event to which it belongs."""

    key: UUID
    event_key: UUID
    subject_id: int
    time: datetime


CLAIM_COLUMNS = ("key", "event_key", "subject_id", "time")

_CLAIM = Struct("!hi16si16siqiq")
_FIXED = Struct("!hihiqi16siqiqiqiqiq").pack
_SHAPE = ("kind", "meter", "service", "feature_key", "model", "provider", "country", "device", "source")
_WIDTH = len(COLUMNS)
_RARE = ("quantity", "unit", "tags", "metadata")
_NO_RARE = NULL * 3

Prepared = tuple[bytes, tuple[bytes, ...]]
"""The row of an event in the order of `COLUMNS`, and the rows of the claims that must all be new for it to count; both in
COPY format. Rows of claims sort like their keys."""


def claim_key(row: bytes) -> bytes:
    """Return the key of a claim's row."""
    return row[6:22]


def claim_of(row: bytes) -> Claim:
    """Return the claim of a row."""
    _, _, key, _, event, _, subject_id, _, time = _CLAIM.unpack(row)
    return Claim(uuid_of(key), uuid_of(event), subject_id, moment_of(time))


class RowMaker:
    """Converts many events to rows; the values that events share are checked and encoded once.

    Checks that depend on more than one field are made here.

    Args:
        subjects: the subject ids of all users, and of organisations (with their prefix).
        costs: prices events that name a model and no cost, and supplies the provider of a model if it is missing.
    """

    def __init__(self, subjects: Mapping[str, int], bounds: TimeBounds, costs: EventCosts) -> None:
        self._subjects = subjects
        self._bounds = bounds
        self._costs = costs
        self._earliest, self._latest, self._now = (micros(at) for at in (bounds.earliest, bounds.latest, bounds.now))
        self._shapes: dict[tuple[Any, ...], tuple[bool, bytes]] = {}

    def prepare(self, event: EventFields, *, version: int = 0, key: bytes | None = None) -> Prepared:
        """Return the row and the claims of an event; `key` overrides the event's identity.

        Raises:
            InvalidError: the event is not consistent, or its time is too long ago or in the future.
        """
        get = event.get
        shape = tuple(map(get, _SHAPE))
        counts_use, common = self._shapes.get(shape) or self._shape(shape)
        at, user_id, usage_key, external_id = get("time"), event["user_id"], get("usage_key"), get("id")
        time = self._now if at is None else micros(at)
        if not self._earliest <= time <= self._latest:
            raise _time_error(cast("datetime", at), self._bounds)
        if user_id.startswith(ORGANIZATION_PREFIX):
            raise InvalidError("user_id must not begin with 'org:'; that names an organisation", param="user_id")
        identity, claims = identity_of(shape[-1], external_id, usage_key if counts_use else None)
        subject, credits, status = self._subjects[user_id], _credits(get("credits")), get("status")
        if get("input_tokens", 0) < 0 or get("output_tokens", 0) < 0:
            raise InvalidError(f"input_tokens and output_tokens {NOT_NEGATIVE}", param="input_tokens")
        organization = get("organization_id")
        fixed = _FIXED(
            _WIDTH, 2, version, 8, time, 16, key or identity, 8, subject, 8, get("input_tokens", 0),
            8, get("output_tokens", 0), 8, credits, 8, credits,
        )  # fmt: skip
        row = (
            fixed,
            common,
            text(usage_key),
            text(external_id),
            NULL if organization is None else big(self._subjects[ORGANIZATION_PREFIX + organization]),
            big(self._cost(event, at or self._bounds.now)),
            integer(get("latency_ms")),
            small(_STATUSES[status] if isinstance(status, str) else status),
            _NO_RARE if shape[1] is None and event.keys().isdisjoint(_RARE) else _rare(event),
        )
        return b"".join(row), tuple([_CLAIM.pack(4, 16, one, 16, identity, 8, subject, 8, time) for one in claims])

    def _cost(self, event: EventFields, at: datetime) -> int | None:
        given, model = event.get("cost_usd"), event.get("model")
        if given is not None or model is None:
            return _cost(given)
        counts = event.get("input_tokens", 0), event.get("output_tokens", 0)
        cost = self._costs.cost(model, event.get("provider"), *counts, at)
        return cost if cost is None or cost < _COST_LIMIT else None

    def _shape(self, shape: tuple[Any, ...]) -> tuple[bool, bytes]:
        """Return whether events of this shape are requests, and the part of the row that they all share."""
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


def _rare(event: EventFields) -> bytes:
    tags, metadata = event.get("tags"), event.get("metadata")
    return b"".join(
        (
            numeric(_quantity(event)),
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


def _quantity(event: EventFields) -> Decimal | int | None:
    quantity, meter, unit = event.get("quantity"), event.get("meter"), event.get("unit")
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
    if micros >= _CREDITS_LIMIT:
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
    if cost >= _COST_LIMIT:
        raise InvalidError("cost_usd must be below 10⁶", param="cost_usd")
    return cost
