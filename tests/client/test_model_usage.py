"""`ModelUsage`, the value that the client and the library share."""

import pickle
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import pytest

import faregate.client
import faregate.usage
from faregate.client.request_bodies import line_body
from faregate.wire import exact_json
from faregate.wire.model_usage import ModelUsage


def test_client_and_library_export_one_class() -> None:
    assert faregate.client.ModelUsage is faregate.usage.ModelUsage is ModelUsage


def test_both_ways_to_give_counts_make_equal_values() -> None:
    named = ModelUsage("gpt-4o", 10, 5, more={"cache_read_tokens": 3})

    assert named == ModelUsage("gpt-4o", tokens={"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3})
    assert (named.input_tokens, named.output_tokens, named.more) == (10, 5, {"cache_read_tokens": 3})
    assert ModelUsage("gpt-4o", 10) == ModelUsage("gpt-4o", 10, 0)


def test_no_counts_are_unknown_and_zeros_are_counts() -> None:
    """The library prices a use of nothing at 0 and keeps an unknown one unpriced."""
    assert ModelUsage("gpt-4o").tokens == {}
    assert ModelUsage("gpt-4o", 0).tokens == {"input_tokens": 0, "output_tokens": 0}
    assert ModelUsage("gpt-4o", tokens={"input_tokens": 0}).tokens == {"input_tokens": 0}


def test_the_client_always_sends_both_totals() -> None:
    assert line_body(ModelUsage("gpt-4o")) == {"ai_model": "gpt-4o", "input_tokens": 0, "output_tokens": 0}
    assert line_body(
        ModelUsage("gpt-4o", 1, more={"web_searches": 2, "audio_seconds": 0}, reported_cost_usd=Decimal("0.1"))
    ) == {
        "ai_model": "gpt-4o",
        "input_tokens": 1,
        "output_tokens": 0,
        "reported_cost_usd": Decimal("0.1"),
        "web_searches": 2,
    }


def test_values_can_be_replaced_and_pickled() -> None:
    usage = ModelUsage("gpt-4o", 10, 5, more={"cache_read_tokens": 3}, raw={"prompt_tokens": 10})

    assert replace(usage, output_tokens=7).tokens == {**usage.tokens, "output_tokens": 7}  # type: ignore[call-arg]
    assert replace(usage, tokens={"input_tokens": 1}).tokens == {"input_tokens": 1}
    assert pickle.loads(pickle.dumps(usage)) == usage  # noqa: S301


@pytest.mark.parametrize(
    "data", [b'{"a": 1, "a": 0.1}', b'{"a": "\\u0000"}', b"[" * 40 + b"]" * 40, b"1" * 65, b'\xef\xbb\xbf{"a": 1}']
)
def test_json_of_other_systems_is_read_leniently(data: bytes) -> None:
    assert exact_json.loads_lenient(data)


def test_lenient_reading_keeps_numbers_exact_and_refuses_what_is_not_json() -> None:
    assert exact_json.loads_lenient(b'{"a": 0.1, "a": 0.2}') == {"a": Decimal("0.2")}
    for data in (b"{", b"\xff"):
        with pytest.raises(ValueError, match=r".+"):
            exact_json.loads_lenient(data)


def test_hosts_values_are_written_whatever_their_containers_and_keys() -> None:
    value = {1: MappingProxyType({"credits": Decimal("1.50")}), "range": range(2)}

    assert exact_json.dumps(value) == b'{"1":{"credits":1.5},"range":[0,1]}'
    assert exact_json.dumps({(1, 2): "a tuple"}) == b'{"(1, 2)":"a tuple"}'
