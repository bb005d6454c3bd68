"""Many events of a call give the same rows, and the same errors, as each of them alone."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.usage.events.column_rows import prepare_all
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.groups import ParsedEvents
from faregate.usage.events.parsing import parse_event, parse_events
from faregate.usage.events.rows import Prepared, RowMaker, TimeBounds
from faregate.usage.pricing.event_costs import EventCosts
from faregate.usage.pricing.line import PriceBook
from faregate.wire.ids import ORGANIZATION_PREFIX
from faregate.wire.money import PricingPolicy

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BOUNDS = TimeBounds.around(NOW, late_days=35, future_seconds=300)
BERLIN = timezone(timedelta(hours=1))

USUAL: dict[str, list[Any]] = {
    "user_id": ["ada", "ben", "cleo"],
    "service": ["chat", "search", None],
    "id": ["e1", "e2", "e3", "e4", None],
    "source": ["app", "job", None],
    "kind": ["request", "line", None],
    "organization_id": ["acme", "other", None],
    "feature_key": ["ai_chat_v1", None],
    "usage_key": ["k1", "k2", None],
    "model": ["gpt-4o", "claude-sonnet-4-5", "no-such-model", None],
    "provider": ["openai", None],
    "input_tokens": [0, 7, 1_000_000_000],
    "output_tokens": [0, 3],
    "credits": [0, 5, Decimal("0.25"), Decimal("999999999.999999"), None],
    "cost_usd": [0, 2, Decimal("0.000000000001"), Decimal("0.25"), None],
    "latency_ms": [0, 120, None],
    "status": [200, 599, "ok", "failed", None],
    "country": ["de", "US", None],
    "device": ["mobile", None],
    "tags": [["a", "b"], [], None],
    "metadata": [{"n": 1, "deep": {"x": [Decimal("1.50")]}}, {}, None],
    "time": [NOW, NOW - timedelta(days=3), datetime(2026, 11, 29, 13, tzinfo=BERLIN), "2026-11-28T10:00:00Z", None],
}
METERED: dict[str, list[Any]] = {
    "user_id": ["ada"],
    "id": ["m1", "m2"],
    "meter": ["api", "storage", "own_meter"],
    "quantity": [1, 99, 10_000, Decimal("0.000000001"), Decimal("2.50"), None],
    "unit": ["GB-day", "call", None],
    "kind": ["meter", None],
    "time": [NOW, None],
}
WRONG: list[tuple[str, Any]] = [
    ("user_id", ""),
    ("user_id", "org:acme"),
    ("user_id", 5),
    ("user_id", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"),
    ("id", "a\x00b"),
    ("id", "\ud800"),
    ("id", "x" * 513),
    ("source", "faregate:use"),
    ("source", "FareGate : use"),
    ("service", "chat\n"),
    ("meter", "api"),
    ("quantity", -1),
    ("quantity", Decimal("0.0000000001")),
    ("quantity", 10**12),
    ("input_tokens", -1),
    ("input_tokens", True),
    ("input_tokens", None),
    ("output_tokens", 10**9 + 1),
    ("credits", Decimal("0.0000001")),
    ("credits", Decimal("NaN")),
    ("credits", Decimal("Infinity")),
    ("credits", Decimal("1E+60")),
    ("credits", "5"),
    ("credits", 0.5),
    ("credits", 10**9),
    ("cost_usd", Decimal("1E-13")),
    ("cost_usd", 10**6),
    ("cost_usd", Decimal("-0.01")),
    ("latency_ms", 2**31),
    ("status", 99),
    ("status", True),
    ("country", "DEU"),
    ("device", "toaster"),
    ("tags", "a"),
    ("tags", ["Bearer abcdefghijklmnop"]),
    ("metadata", [1]),
    ("time", "yesterday"),
    ("time", datetime(2026, 11, 29, 12)),
    ("time", NOW + timedelta(hours=1)),
    ("time", NOW - timedelta(days=36)),
    ("inputTokens", 5),
    ("prompt_tokens", 5),
]


def events_of(values: dict[str, list[Any]], data: st.DataObject) -> list[dict[str, Any]]:
    """Return events with the same fields; one of them may be wrong."""
    fields = ["user_id", *data.draw(st.lists(st.sampled_from(sorted(set(values) - {"user_id"})), unique=True))]
    one = st.fixed_dictionaries({field: st.sampled_from(values[field]) for field in fields})
    events = data.draw(st.lists(one, min_size=8, max_size=20))
    for place in data.draw(st.lists(st.integers(0, len(events) - 1), max_size=2)):
        events[place] |= [data.draw(st.sampled_from(WRONG))]
    return events


def maker() -> RowMaker:
    known = {name: number for number, name in enumerate(("ada", "ben", "cleo", "org:acme", "org:other"), start=1)}
    return RowMaker(_AnySubject(known), BOUNDS, EventCosts(PriceBook(PricingPolicy())))


class _AnySubject(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return 99


def alone(item: Any) -> Prepared | str:
    try:
        return maker().prepare(parse_event(item))
    except InvalidError as error:
        return error.detail


def together_of(items: Any) -> list[Prepared | InvalidError]:
    """Return what each item came to."""
    made = prepare_all(maker(), parse_events(items))
    claims: dict[int, list[bytes]] = {place: [] for place in made.rows}
    for place, claim in zip(made.claimed_by, made.claims, strict=True):
        claims[place].append(claim)
    return [
        made.errors[place] if place in made.errors else (made.rows[place], tuple(claims[place]))
        for place in range(len(items))
    ]


def shown(found: Prepared | InvalidError | str, *, known: bool) -> Any:
    """Return a row without the key, which is random where nothing identifies the event."""
    if isinstance(found, InvalidError | str):
        return found if isinstance(found, str) else found.detail
    row, claims = found
    return (row if known else row[:24] + row[40:]), claims


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_events_together_equal_each_alone(data: st.DataObject) -> None:
    """Rows, claims and errors, byte for byte, whatever stands beside them; as dicts and as `UsageEvent`s."""
    events = events_of(METERED if data.draw(st.booleans()) else USUAL, data)
    separately = [alone(event) for event in events]
    items: list[Any] = [*events, InvalidError("was no object"), *events]
    if data.draw(st.booleans()):
        items = [
            _created(event, ok=not isinstance(found, str)) for event, found in zip(events, separately, strict=True)
        ]

    together = together_of(items)

    expected = [*separately, "was no object", *separately][: len(items)]
    for item, one, other in zip(items, together, expected, strict=True):
        known = not isinstance(other, str) and bool(other[1])
        assert shown(one, known=known) == shown(other, known=known), item


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_one_wrong_event_among_good_ones_is_refused_as_alone(field: str, value: Any) -> None:
    """The others have the same fields, so that all of them are tried together."""
    usual = METERED if field in {"quantity", "unit"} else USUAL
    base = {name: usual[name][0] for name in ("user_id", "meter" if usual is METERED else "service", "time")}
    good = {**base, field: usual[field][0]} if field in usual else base
    events = [{**good, "id": f"e{n}"} for n in range(9)]
    events.insert(4, {**good, "id": "e9"} | {field: value})

    together = together_of(events)

    assert [shown(found, known=True) for found in together] == [shown(alone(event), known=True) for event in events]


@pytest.mark.parametrize("field", ["credits", "cost_usd", "input_tokens", "output_tokens"])
def test_amount_below_0_of_events_created_without_validation_is_refused(field: str) -> None:
    create: Any = UsageEvent.model_construct
    items = [create(user_id="ada", service="chat", id="e", **{field: amount}) for amount in (1,) * 9 + (-1,)]

    together = together_of(items)

    assert [place for place, found in enumerate(together) if isinstance(found, InvalidError)] == [9]


def _created(event: dict[str, Any], *, ok: bool) -> Any:
    return UsageEvent(**event) if ok and "prompt_tokens" not in event else event


def test_valid_events_of_the_same_fields_are_handled_together() -> None:
    """Otherwise the property above would compare the slow way with itself."""
    parsed = parse_events([{"user_id": "ada", "service": "chat", "id": f"e{n}", "time": NOW} for n in range(1200)])

    assert [len(group) for group in parsed.groups] == [500, 500, 200]
    assert not parsed.others
    assert not parsed.errors


def test_wrong_event_costs_only_its_group_the_faster_way() -> None:
    events = [{"user_id": "ada", "service": "chat", "id": f"e{n}"} for n in range(1000)]
    events[700]["service"] = "\n"

    parsed = parse_events(events)

    assert [len(group) for group in parsed.groups] == [500]
    assert list(parsed.errors) == [700]
    assert len(parsed.others) == 499


def test_events_of_a_refused_user_are_errors_and_the_others_are_kept() -> None:
    events = [{"user_id": f"u{n % 4}", "service": "chat", "organization_id": f"o{n % 3}"} for n in range(12)]
    refused = {"u1": InvalidError("u1 is reserved"), f"{ORGANIZATION_PREFIX}o2": InvalidError("o2 is reserved")}

    found: ParsedEvents = parse_events(events).without(refused)

    assert {place: error.detail[:2] for place, error in found.errors.items()} == {
        1: "u1", 2: "o2", 5: "u1", 8: "o2", 9: "u1", 11: "o2",
    }  # fmt: skip
    assert sorted(dict(found.others)) == [0, 3, 4, 6, 7, 10]


def test_a_call_keeps_what_it_was_given() -> None:
    """The caller may change its dicts while the call waits."""
    events = [{"user_id": "ada", "service": "chat", "metadata": {"n": 1}} for _ in range(10)]
    parsed = parse_events(events)
    for event in events:
        event["service"] = "other"

    assert set(parsed.values("service")) == {"chat"}
