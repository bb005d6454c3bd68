"""Bills in the database: imports that are safe to repeat, and comparisons with a real ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from faregate.analytics.bills.errors import UnknownBillError, UnreadableBillError
from faregate.analytics.bills.service import BillService
from faregate.analytics.bills.values import BillSource, DifferenceKind, Side
from faregate.client import ModelUsage
from faregate.core.errors import InvalidError, NotFoundError
from faregate.host import Faregate
from faregate.usage.credits_process.provider_lines import native_usage
from faregate.wire import exact_json
from support.servers import execute

DAY = datetime(2026, 11, 3, tzinfo=UTC)
HEAD = "id,at,model,input,output,cost\n"
MAP = {
    "request_id": "id",
    "time": "at",
    "model": "model",
    "input_tokens": "input",
    "output_tokens": "output",
    "cost_usd": "cost",
}
Kind = DifferenceKind


@pytest.fixture
async def fare(database_url: str) -> AsyncIterator[Faregate]:
    features: dict[str, dict[str, Any]] = {"chat": {"strategy": "token_priced"}}
    async with Faregate(database_url, features=features, initial_credits=1000) as fare:
        yield fare


@pytest.fixture
def bills(fare: Faregate) -> BillService:
    return fare.container.bills()


def csv(*rows: Sequence[object]) -> bytes:
    return (HEAD + "".join(",".join(map(str, row)) + "\n" for row in rows)).encode()


async def charged(fare: Faregate, url: str, number: int, *, model: str = "gpt-4o-mini", hour: int = 10) -> Decimal:
    """Settle a use that names the provider's request, at a time of the day of the bill; return its cost."""
    line = ModelUsage(model, provider="openai", input_tokens=1000 + number, output_tokens=100)
    await fare.charge("chat", "ada", key=f"k{number}", usages=[line], metadata={"provider_request_id": f"r{number}"})
    at = DAY + timedelta(hours=hour)
    await execute(url, f"update faregate.usage_line set settled_at = '{at.isoformat()}' where usage_key = 'k{number}'")
    return Decimal(1000 + number) * Decimal("0.00000015") + 100 * Decimal("0.0000006")


async def imported(bills: BillService, content: bytes, **given: Any) -> Any:
    return await bills.import_file(content, BillSource.CSV, provider="openai", mapping=MAP, **given)


async def test_all_planted_faults_are_found_with_their_rows(
    fare: Faregate, bills: BillService, database_url: str
) -> None:
    cost = [await charged(fare, database_url, number) for number in range(8)]
    await charged(fare, database_url, 8, model="unheard-of")
    await fare.charge("chat", "kim", key="k1-again", usages=[ModelUsage("gpt-4o-mini", provider="openai", input_tokens=1001, output_tokens=100)], metadata={"provider_request_id": "r1"})  # fmt: skip
    await execute(database_url, f"update faregate.usage_line set settled_at = '{(DAY + timedelta(hours=11)).isoformat()}' where usage_key = 'k1-again'")  # fmt: skip
    sound = [(f"r{n}", "2026-11-03T10:00:00Z", "gpt-4o-mini-2024-07-18", 1000 + n, 100, cost[n]) for n in range(8)]
    rows: list[Sequence[object]] = [
        sound[0],
        sound[1],  # settled twice by us
        sound[2],
        sound[2],  # billed twice
        (*sound[3][:5], cost[3] + Decimal("0.000000001")),  # mispriced
        ("r4", "2026-11-02T23:59:00Z", *sound[4][2:]),  # another day
        (*sound[5][:4], 101, cost[5] + Decimal("0.0000006")),  # one token that we never saw
        # r6 is missing: only the ledger has it
        ("r7-x", *sound[7][1:]),  # a request that we never settled
        ("r8", "2026-11-03T10:00:00Z", "unheard-of", 1008, 100, "0.25"),  # settled without a price
        ("r9", "2026-11-03T10:00:00Z", "also-unheard-of", 1, 1, "1.5"),
        sound[7],
    ]
    bill = await imported(bills, csv(*rows))
    found = await bills.compare("openai")
    by = {(each.kind, each.side, each.request_id): each for each in found.differences}

    assert set(by) == {
        (Kind.DOUBLED, Side.LEDGER, "r1"),
        (Kind.DOUBLED, Side.BILL, "r2"),
        (Kind.MISPRICED, None, "r3"),
        (Kind.LATE, None, "r4"),
        (Kind.UNSEEN_TOKENS, None, "r5"),
        (Kind.LOST, Side.BILL, "r6"),
        (Kind.LOST, Side.LEDGER, "r7-x"),
        (Kind.UNKNOWN_MODEL, None, "r8"),
        (Kind.UNKNOWN_MODEL, None, "r9"),
    }
    assert by[Kind.MISPRICED, None, "r3"].amount_usd == Decimal("0.000000001")
    assert by[Kind.MISPRICED, None, "r3"].bill_rows == ((bill.import_id, 6),)
    assert by[Kind.MISPRICED, None, "r3"].lines == (("k3", 0),)
    assert by[Kind.DOUBLED, Side.BILL, "r2"].bill_rows == ((bill.import_id, 5),)
    assert by[Kind.DOUBLED, Side.LEDGER, "r1"].lines == (("k1-again", 0),)
    assert by[Kind.LOST, Side.BILL, "r6"].lines == (("k6", 0),)
    assert by[Kind.UNKNOWN_MODEL, None, "r8"].billed_usd == Decimal("0.25")
    assert found.bill_lines == len(rows)
    assert found.ledger_lines == 10


async def test_the_same_file_again_changes_nothing_also_at_once(bills: BillService) -> None:
    content = csv(("a", "2026-11-03", "gpt-4o", 1, 1, "0.1"), ("b", "2026-11-03", "gpt-4o", 1, 1, "0.1"))
    first = await imported(bills, content)
    again = await asyncio.gather(*(imported(bills, content) for _ in range(5)))

    assert (first.added, first.known, first.replaced) == (2, 0, 0)
    assert {(each.import_id, each.added, each.known) for each in again} == {(first.import_id, 0, 2)}
    assert len(await bills.imports()) == 1


async def test_a_later_export_takes_the_place_of_what_it_says_anew(bills: BillService) -> None:
    first = await imported(bills, csv(("a", "2026-11-03", "m", 1, 1, "0.1"), ("b", "2026-11-03", "m", 1, 1, "0.1")))
    second = await imported(bills, csv(("b", "2026-11-03", "m", 1, 1, "0.3"), ("c", "2026-11-03", "m", 1, 1, "0.1")))
    assert (second.added, second.replaced, second.cost_usd) == (2, 1, Decimal("0.4"))
    assert (await bills.compare("openai")).billed_usd == Decimal("0.5")

    await bills.remove(second.import_id)
    assert (await bills.compare("openai")).billed_usd == Decimal("0.2")
    assert [line.line.request_id for line in await bills.lines(first.import_id)] == ["a", "b"]
    with pytest.raises(UnknownBillError):
        await bills.remove(second.import_id)
    with pytest.raises(UnknownBillError):
        await bills.lines(UUID(int=1))


async def test_nothing_of_a_file_with_a_wrong_line_is_imported(bills: BillService) -> None:
    with pytest.raises(UnreadableBillError, match="line 3: cost_usd 'free' is not an amount"):
        await imported(bills, csv(("a", "2026-11-03", "m", 1, 1, "0.1"), ("b", "2026-11-03", "m", 1, 1, "free")))

    assert await bills.imports() == []
    with pytest.raises(NotFoundError, match="no bill of 'openai'"):
        await bills.compare("openai")


async def test_totals_of_openai_agree_with_the_ledger_by_model_and_type(
    fare: Faregate, bills: BillService, database_url: str
) -> None:
    """Costs and usage are two exports about the same days; the model is spelled with its date on the bill."""
    line = ModelUsage(
        "gpt-4o", provider="openai", tokens={"input_tokens": 1000, "cache_read_tokens": 400, "output_tokens": 50}
    )
    for number in range(3):
        await fare.charge("chat", "ada", key=f"t{number}", usages=[line])
    await execute(database_url, f"update faregate.usage_line set settled_at = '{DAY.isoformat()}'")
    seconds = {"start_time": int(DAY.timestamp()), "end_time": int((DAY + timedelta(days=1)).timestamp())}
    costs = {"input": Decimal("0.0045"), "cached input": Decimal("0.0015"), "output": Decimal("0.0015")}
    cost = [{"amount": {"value": value, "currency": "usd"}, "line_item": f"gpt-4o-2024-08-06, {kind}"} for kind, value in costs.items()]  # fmt: skip
    usage = [{"model": "gpt-4o-2024-08-06", "input_tokens": 3000, "input_cached_tokens": 1200, "output_tokens": 150, "num_model_requests": 3}]  # fmt: skip
    for results in (cost, usage):
        await bills.import_file(exact_json.dumps({"data": [{**seconds, "results": results}]}), BillSource.OPENAI)
    sound = await bills.compare("openai")
    cost[2]["amount"]["value"] = Decimal("0.0016")  # type: ignore[index]
    await bills.import_file(exact_json.dumps({"data": [{**seconds, "results": cost}]}), BillSource.OPENAI)
    (difference,) = (await bills.compare("openai")).differences

    assert sound.differences == []
    assert sound.billed_usd == sound.ledger_usd == Decimal("0.0075")
    assert (difference.kind, difference.token_type, difference.amount_usd) == (
        Kind.MISPRICED,
        "output_tokens",
        Decimal("0.0001"),
    )
    assert {key for key, _ in difference.lines} == {"t0", "t1", "t2"}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tolerance_usd": Decimal(-1)}, "tolerance_usd"),
        ({"late_days": 99}, "late_days"),
        ({"start": DAY, "end": DAY - timedelta(days=2)}, "end"),
    ],
)
async def test_a_wrong_question_is_refused(bills: BillService, given: dict[str, Any], param: str) -> None:
    await imported(bills, csv(("a", "2026-11-03", "m", 1, 1, "0.1")))
    with pytest.raises(InvalidError) as refused:
        await bills.compare("openai", **given)

    assert refused.value.param == param


async def test_the_id_of_a_response_is_kept_for_its_bill(fare: Faregate, database_url: str) -> None:
    body = {"id": "chatcmpl-123456789", "model": "gpt-4o", "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    await fare.charge("chat", "ada", key="native", usages=[native_usage(body)])
    rows = b"generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\n"
    bill = rows + b"chatcmpl-123456789,2026-11-01,0.0000225,5,1,gpt-4o\n"
    await fare.container.bills().import_file(bill, BillSource.OPENROUTER)
    await execute(database_url, "update faregate.usage_line set settled_at = '2026-11-01 12:00+00'")

    assert (await fare.container.bills().compare("openrouter")).differences == []
