"""Exports of providers: what their readers make of them, exactly, and what they refuse."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from faregate.analytics.bills.errors import UnreadableBillError
from faregate.analytics.bills.sources.formats import read_bill
from faregate.analytics.bills.values import BillLine, BillSource
from faregate.core.errors import InvalidError
from faregate.wire import exact_json

DAY, NEXT = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
SECONDS = {"start_time": int(DAY.timestamp()), "end_time": int(NEXT.timestamp())}
PERIOD = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z"}


def openai(*results: dict[str, object], **bucket: object) -> bytes:
    return exact_json.dumps({"object": "page", "data": [{**SECONDS, **bucket, "results": results}], "has_more": False})


def anthropic(*results: dict[str, object], **bucket: object) -> bytes:
    return exact_json.dumps({"data": [{**PERIOD, **bucket, "results": results}], "has_more": False})


def only(content: bytes, source: BillSource, **given: object) -> BillLine:
    (line,) = read_bill(content, source, **given)  # type: ignore[arg-type]
    return line


def test_costs_of_openai_keep_every_digit_and_name_model_and_type() -> None:
    content = openai({"amount": {"value": Decimal("0.123456789012345678"), "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, cached input", "project_id": "p1"})  # fmt: skip
    line = only(content, BillSource.OPENAI)

    assert (line.model, line.token_type, line.cost_usd) == ("gpt-4o-2024-08-06", "cache_read_tokens", Decimal("0.123456789012345678"))  # fmt: skip
    assert (line.start, line.end, line.detail, line.tokens) == (DAY, NEXT, "p1", {})


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("gpt-4o, input", ("gpt-4o", "input_tokens", "")),
        ("gpt-4o-2024-08-06, batch cached input", ("gpt-4o-2024-08-06", "cache_read_tokens", "batch")),
        ("gpt-4o-audio-preview, audio output", ("gpt-4o-audio-preview", "output_tokens", "audio")),
        ("web search tool calls, gpt-4o", ("web search tool calls, gpt-4o", None, "")),
        ("input", ("input", None, "")),
    ],
)
def test_line_items_of_openai_tell_model_type_and_tier(item: str, told: tuple[str, str | None, str]) -> None:
    line = only(openai({"amount": {"value": 1}, "line_item": item}), BillSource.OPENAI)

    assert (line.model, line.token_type, line.detail) == told


def test_usage_of_openai_tells_cached_input_apart() -> None:
    line = only(openai({"input_tokens": 100, "input_cached_tokens": 40, "output_tokens": 7, "num_model_requests": 3, "model": "gpt-4o"}), BillSource.OPENAI)  # fmt: skip

    heard = only(
        openai({"input_tokens": 100, "input_audio_tokens": 5, "output_audio_tokens": 2, "model": "m"}),
        BillSource.OPENAI,
    )

    assert line.tokens == {"input_tokens": 60, "cache_read_tokens": 40, "output_tokens": 7}
    assert heard.tokens == {"input_tokens": 105, "cache_read_tokens": 0, "output_tokens": 2}
    assert (line.requests, line.cost_usd) == (3, None)


def test_the_csv_of_openai_is_read_with_its_line_numbers() -> None:
    text = 'start_time,end_time,amount_value,amount_currency,line_item,project_id\n1793491200,1793577600,0.5,usd,"gpt-4o, input",\n1793491200,1793577600,x,usd,"gpt-4o, output",\n'  # fmt: skip
    with pytest.raises(UnreadableBillError, match=r"line 3: amount_value 'x' is not an amount"):
        read_bill(text.encode(), BillSource.OPENAI)

    line = only(text.encode().rsplit(b"\n", 2)[0], BillSource.OPENAI)
    assert (line.number, line.cost_usd, line.token_type) == (2, Decimal("0.5"), "input_tokens")


def test_costs_of_anthropic_are_in_cents() -> None:
    content = anthropic({"currency": "USD", "amount": "123.78912", "description": "Claude Sonnet 4 Usage - Input Tokens", "cost_type": "tokens", "model": "claude-sonnet-4-20250514", "service_tier": "standard", "token_type": "cache_creation.ephemeral_1h_input_tokens"})  # fmt: skip
    line = only(content, BillSource.ANTHROPIC)

    assert (line.cost_usd, line.token_type) == (Decimal("1.2378912"), "cache_write_1h_tokens")


def test_usage_of_anthropic_is_read_by_type() -> None:
    content = anthropic({"uncached_input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 3}, "cache_read_input_tokens": 4, "output_tokens": 5, "server_tool_use": {"web_search_requests": 6}, "model": "claude-sonnet-4-5"})  # fmt: skip

    assert list(only(content, BillSource.ANTHROPIC).tokens.values()) == [1, 4, 3, 2, 5, 6]


def test_activity_of_openrouter_is_by_day_or_by_request() -> None:
    day = only(b'{"data":[{"date":"2026-11-01","model":"openai/gpt-4.1","usage":0.015,"requests":5,"prompt_tokens":50,"completion_tokens":125,"reasoning_tokens":25,"provider_name":"OpenAI"}]}', BillSource.OPENROUTER)  # fmt: skip
    one = only(b"generation_id,created_at,cost_total,tokens_prompt,tokens_completion,tokens_cached,model_permaslug\ngen-1,2026-11-01 10:20:30,0.000123,100,9,40,openai/gpt-4.1\n", BillSource.OPENROUTER)  # fmt: skip

    assert (day.cost_usd, day.tokens, day.request_id) == (Decimal("0.015"), {"prompt_tokens": 50, "output_tokens": 125}, None)  # fmt: skip
    assert (one.request_id, one.start, one.cost_usd) == ("gen-1", datetime(2026, 11, 1, 10, 20, 30, tzinfo=UTC), Decimal("0.000123"))  # fmt: skip
    assert one.tokens == {"input_tokens": 60, "cache_read_tokens": 40, "output_tokens": 9}


def test_any_csv_is_read_by_a_mapping() -> None:
    text = b"Date,Model,Kind,Tokens,Total\n2026-11-01,m,output_tokens,12,0.000000000000000000001\n"
    mapping = {"time": "Date", "model": "Model", "token_type": "Kind", "quantity": "Tokens", "cost_usd": "Total"}
    line = only(text, BillSource.CSV, provider="Mistral", mapping=mapping)

    assert (line.provider, line.token_type, line.tokens) == ("mistral", "output_tokens", {"output_tokens": 12})
    assert (line.cost_usd, line.start, line.end) == (Decimal("1E-21"), DAY, NEXT)


@pytest.mark.parametrize(
    ("content", "source", "said"),
    [
        (b"{", BillSource.OPENAI, "not JSON"),
        (b'{"data": 1}', BillSource.OPENAI, "no list `data`"),
        (openai({"amount": {"value": 1, "currency": "eur"}, "line_item": "x"}), BillSource.OPENAI, "line 1: the amount is in eur"),
        (openai({"amount": {"value": 1}, "line_item": None}), BillSource.OPENAI, "group_by=line_item"),
        (openai({"amount": {"value": "NaN"}, "line_item": "x"}), BillSource.OPENAI, "'NaN' is not an amount"),
        (openai({"amount": {"value": 1}, "line_item": "x"}, end_time=1999999999), BillSource.OPENAI, "not within one day of UTC; export by day"),
        (openai({"input_tokens": 1, "input_cached_tokens": 2, "model": "m"}), BillSource.OPENAI, "more than input_tokens"),
        (openai({"input_tokens": -1, "model": "m"}), BillSource.OPENAI, "'-1' is not a whole number from 0 on"),
        (openai({"input_tokens": 1}), BillSource.OPENAI, "group_by=model"),
        (openai(), BillSource.OPENAI, "the file holds no line"),
        (anthropic({"amount": "1", "token_type": "odd", "model": "m"}), BillSource.ANTHROPIC, "token_type 'odd' is none of"),
        (anthropic({"amount": True, "model": "m"}), BillSource.ANTHROPIC, "'True' is not an amount"),
        (b"a,b\n1\n", BillSource.OPENROUTER, "line 2: 1 cells, but the heading has 2; is the file cut off"),
        (b"a,a\n1,2\n", BillSource.OPENROUTER, "must name each column once"),
        (b"generation_id,created_at,cost_total\n,2026-11-01,1\n", BillSource.OPENROUTER, "line 2: model_permaslug is missing"),
        (b"generation_id,created_at\ng,never\n", BillSource.OPENROUTER, "created_at 'never' is no date"),
        (b"\xff\xfe", BillSource.OPENROUTER, "not UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_line_and_field(content: bytes, source: BillSource, said: str) -> None:
    with pytest.raises(UnreadableBillError) as refused:
        read_bill(content, source)

    assert said in refused.value.detail
    assert refused.value.param == "file"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"mapping": {"time": "Date", "model": "Model", "cost_usd": "Total"}}, "provider"),
        ({"provider": "p", "mapping": {"model": "Model", "cost_usd": "Total"}}, "map"),
        ({"provider": "p", "mapping": {"time": "Date", "model": "Model"}}, "map"),
        ({"provider": "p", "mapping": {"time": "Date", "model": "Model", "price": "Total"}}, "map"),
        ({"provider": "p", "mapping": {"time": "Date", "model": "Model", "quantity": "Total"}}, "map"),
        ({"provider": "p", "mapping": {"time": "Date", "model": "Model", "cost_usd": "Absent"}}, "file"),
    ],
)
def test_a_wrong_mapping_is_refused(given: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_bill(b"Date,Model,Total\n2026-11-01,m,1\n", BillSource.CSV, **given)  # type: ignore[arg-type]

    assert refused.value.param == param


def test_a_mapping_is_for_csv_only() -> None:
    with pytest.raises(InvalidError, match="csv only"):
        read_bill(openai(), BillSource.OPENAI, mapping={"time": "x"})
