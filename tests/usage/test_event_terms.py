"""Events with amounts below 0 or a reserved source are refused, however they are sent."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.usage.events.buffer import BufferedRecorder
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.keys import LINE_SOURCE, USE_SOURCE
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.terms import is_reserved
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest, StartRequest
from faregate.wire import exact_json
from support.library import Library

CORRECTIONS = "POST /api/usage-events/corrections"
NEGATIVE: list[dict[str, Any]] = [
    {"meter": "api", "quantity": -1},
    {"meter": "api", "quantity": Decimal("-0.000000001")},
    {"meter": "storage", "unit": "GB-day", "quantity": Decimal(-2)},
    {"credits": -1},
    {"credits": Decimal("-0.000001")},
    {"cost_usd": Decimal("-0.01")},
    {"input_tokens": -1},
    {"output_tokens": -5},
]
OURS = [
    "faregate:use",
    "faregate:line",
    "FareGate:Use",
    " faregate:use",
    "faregate :use",
    "\tfaregate\u00a0: x",
    "faregate:",
]


@pytest.fixture
def recorder(library: Library) -> UsageRecorder:
    return library.usage.recorder()


def event(**more: Any) -> dict[str, Any]:
    return {"id": "e1", "source": "test", "user_id": "anna", "service": "chat", **more}


@pytest.mark.parametrize("fields", NEGATIVE)
async def test_amount_below_0_is_refused_with_a_hint_to_correct(
    library: Library, recorder: UsageRecorder, fields: Any
) -> None:
    """As fields, as an event, and as an event created without validation."""
    name = next(name for name in ("quantity", "credits", "cost_usd", "input_tokens", "output_tokens") if name in fields)
    unchecked = UsageEvent.model_construct(**event(id="e2", **fields))
    report = await recorder.record([event(**fields), event(id="good"), unchecked])

    assert (report.accepted, [item.index for item in report.rejected]) == (1, [0, 2])
    assert all(name in item.error and CORRECTIONS in item.error for item in report.rejected)
    with pytest.raises(ValueError, match=f"{name}(.|\n)*{CORRECTIONS}"):
        UsageEvent(**event(**fields))
    with pytest.raises(InvalidError, match=name):
        await library.usage.history().replace("test", "good", event(**fields))


async def test_corrections_of_faregate_may_count_below_0(library: Library, recorder: UsageRecorder) -> None:
    await recorder.record([event(meter="api", quantity=5)])
    await library.usage.history().void("test", "e1")
    async with library.database.transaction() as session:
        rows = await library.database.rows(session, "select quantity from faregate.usage_event order by quantity")

    assert [row.quantity for row in rows] == [-5, 5]


@pytest.mark.parametrize("source", OURS)
async def test_reserved_source_is_refused(library: Library, recorder: UsageRecorder, source: str) -> None:
    """In what is recorded, created and corrected; the other events of the call are recorded."""
    unchecked = UsageEvent.model_construct(**event(id="e2", source=source))
    report = await recorder.record([event(source=source), event(id="good"), unchecked])
    history = library.usage.history()

    assert (report.accepted, [item.index for item in report.rejected]) == (1, [0, 2])
    assert all("faregate:" in item.error and "source of yours" in item.error for item in report.rejected)
    with pytest.raises(ValueError, match="source of yours"):
        UsageEvent(**event(source=source))
    for correct in (history.void(source, "e1"), history.replace(source, "e1", event())):
        with pytest.raises(InvalidError, match=r"refund, or POST /api/wallets/\{owner_id\}/adjustments") as refused:
            await correct
        assert refused.value.param == "source"


async def test_events_of_a_use_cannot_be_claimed_or_corrected_by_callers(
    library: Library, recorder: UsageRecorder
) -> None:
    """Callers can neither claim them first nor take them back."""
    await library.feature(Feature("chat", "token_priced"))
    claims = [event(source=USE_SOURCE, id="K"), event(source=LINE_SOURCE, id="K/0")]
    before = await recorder.record(claims)
    request = SettleRequest("K", "anna", FeatureRef(value="chat"), (ModelUsage("gpt-4o", tokens={"input_tokens": 9}),))
    await library.service.settle(request)
    with pytest.raises(InvalidError):
        await library.usage.history().void(USE_SOURCE, "K")
    fate = await library.usage.history().fate(USE_SOURCE, "K")

    assert (before.accepted, len(before.rejected)) == (0, 2)
    assert (fate.status, fate.event is not None) == ("counted", True)


@pytest.mark.parametrize(
    "source", ["", "app", "/app", "faregate", "faregates:x", "my-faregate:use", "queue:usage_events"]
)
def test_sources_of_callers_are_accepted(source: str) -> None:
    assert not is_reserved(source)
    assert not is_reserved(None)


@given(
    st.text(alphabet=" \t\u00a0\u2003", max_size=3),
    st.lists(st.booleans(), min_size=9, max_size=9),
    st.text(max_size=9),
)
def test_reserved_prefix_is_found_despite_case_and_spaces(space: str, upper: list[bool], rest: str) -> None:
    said = "".join(c.upper() if up else c for c, up in zip("faregate:", upper, strict=True))

    assert is_reserved(f"{space}{said[:4]}{space}{said[4:]}{rest}")


def test_reserved_prefix_is_found_in_full_width_letters() -> None:
    assert is_reserved("".join(chr(ord(c) + 0xFEE0) for c in "faregate:") + "use")


async def test_spooled_event_that_is_no_longer_accepted_does_not_block_others(
    library: Library, recorder: UsageRecorder, tmp_path: Path
) -> None:
    """An event that is no longer accepted is logged and dropped; the others are recorded."""
    good = {"user_id": "anna", "meter": "api", "quantity": Decimal("2.5"), "id": "c", "time": recorder.bounds.now}
    lines = [{**good, "id": "a", "quantity": -1}, {**good, "id": "b", "source": USE_SOURCE}, good]
    (tmp_path / "usage-events-1.ndjson").write_text("".join(f"{exact_json.dumps(line).decode()}\n" for line in lines))
    async with BufferedRecorder(recorder, spool=tmp_path):
        pass
    async with library.database.transaction() as session:
        rows = await library.database.rows(session, "select external_id, quantity from faregate.usage_event")

    assert [(row.external_id, row.quantity) for row in rows] == [("c", Decimal("2.5"))]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("usage", "param"),
    [
        (ModelUsage(None, quantity=Decimal(-1), unit="images"), "quantity"),
        (ModelUsage(None, quantity=Decimal("NaN"), unit="images"), "quantity"),
        (ModelUsage(None, quantity=2.5, unit="images"), "quantity"),  # type: ignore[arg-type]
        (ModelUsage("gpt-4o", tokens={"input_tokens": 1}, reported_cost_usd=Decimal(-1)), "reported_cost_usd"),
        (ModelUsage("gpt-4o", tokens={"input_tokens": -1}), "tokens.input_tokens"),
    ],
)
async def test_settlement_with_an_amount_below_0_is_refused(library: Library, usage: ModelUsage, param: str) -> None:
    """A quantity below 0 would reduce the price of another line of the same unit."""
    await library.feature(Feature("chat", "token_priced"))
    more = ModelUsage(None, quantity=Decimal(5), unit="images")
    service, feature = library.service, FeatureRef(value="chat")
    for attempt in (
        service.settle(SettleRequest("K", "anna", feature, (more, usage))),
        service.record_usage("chat", "anna", usages=(more, usage)),
        service.authorize(StartRequest(user_id="anna", feature=feature, estimated_usages=(more, usage))),
    ):
        with pytest.raises(InvalidError) as refused:
            await attempt
        assert refused.value.param == param
