"""Array items are read or refused one by one, in linear time for any bytes."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError, MalformedError
from faregate.core.values.json_items import Unreadable, load_items
from faregate.wire.exact_json import loads

BAD_ITEMS = [
    pytest.param(b'{"a":"\\u0000"}', "NUL", id="NUL"),
    pytest.param(b'{"a":"x\\ud800y"}', "surrogate", id="an unpaired surrogate"),
    pytest.param(b'{"\\udfff":1}', "surrogate", id="an unpaired surrogate as key"),
    pytest.param(b'{"a":"\xff"}', "surrogate", id="not UTF-8"),
    pytest.param(b'{"a":"x\ny"}', "control character", id="line break"),
    pytest.param(b'{"a":1,"a":2}', "stands twice", id="duplicate key"),
    pytest.param(b'{"a":NaN}', "NaN", id="NaN"),
    pytest.param(b"-Infinity", "Infinity", id="Infinity alone"),
    pytest.param(b'{"a":1e999}', "exponent", id="exponent"),
    pytest.param(b'{"a":' + b"9" * 65 + b"}", "64 digits", id="digits"),
    pytest.param(b"[" * 40 + b"]" * 40, "deeper", id="deep"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper", id="100,000 levels deep"),
    pytest.param(b'{"a":"]}\\"","b":NaN}', "NaN", id="brackets in texts"),
]


@pytest.mark.parametrize(("item", "problem"), BAD_ITEMS)
def test_a_bad_item_is_refused_in_its_place_and_the_others_are_read(item: bytes, problem: str) -> None:
    """Its original text is kept."""
    first, bad, last = load_items(b' [{"x": 1.5} ,\n' + item + b"\t, 7 ] ")

    assert (str(first["x"]), last) == ("1.5", 7)
    assert isinstance(bad, Unreadable)
    assert problem in bad.error.detail
    assert bad.text == item


@pytest.mark.parametrize(("item", "problem"), BAD_ITEMS)
def test_one_object_that_cannot_be_read_is_refused(item: bytes, problem: str) -> None:
    with pytest.raises(MalformedError):
        load_items(item if item[:1] == b"{" else b'{"a":' + item + b"}")


@pytest.mark.parametrize(
    "text", [b"[", b"[1,]", b"[1 2]", b'[{"a":1]', b"[1]x", b'[{"a":NaN},tru]', b'[{"a":NaN}', b""]
)
def test_invalid_json_is_refused_as_a_whole(text: bytes) -> None:
    with pytest.raises(MalformedError):
        load_items(text)


def test_too_many_items_are_refused_before_all_are_read() -> None:
    with pytest.raises(InvalidError, match="more than 1000 items"):
        load_items(b"[" + b",".join([b"NaN"] * 300_000) + b"]")


@pytest.mark.parametrize(
    ("text", "mend", "read"),
    [
        (b'{"metadata":{"a\\u0000":"x\\ud83d"},"n":1}', False, {"metadata": {"a�": "x�"}, "n": 1}),
        (b'{"usage":{"choices":["\\udc00"]}}', False, {"usage": {"choices": ["�"]}}),
        (b'[{"data":{"metadata":{"deep":{"a":"\\u0000"}}}}]', False, [{"data": {"metadata": {"deep": {"a": "�"}}}}]),
        (b'{"payload":{"text":"\\ud83d\\ude00 \\ud83d"}}', True, {"payload": {"text": "\U0001f600 �"}}),
        (b'\xef\xbb\xbf{"a":1}', False, {"a": 1}),
    ],
)
def test_free_fields_are_repaired(text: bytes, mend: bool, read: Any) -> None:
    """NUL and an unpaired surrogate become U+FFFD; a surrogate pair is one character; a byte order mark is skipped."""
    assert load_items(text, mend=mend) == read
    assert loads(text, mend=mend) == read


def test_keys_that_would_become_equal_are_refused() -> None:
    """A repair must not lose a value silently."""
    with pytest.raises(MalformedError, match="two keys"):
        loads(b'{"metadata":{"\\ud800":1,"\\ud801":2}}')


json_like = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(json_like, max_size=8), st.data())
def test_each_item_of_any_array_is_read_or_refused_alone(items: list[Any], data: st.DataObject) -> None:
    """The result for an item does not depend on the other items of its array."""
    texts = [json.dumps(item).encode() for item in items]
    bad = data.draw(st.lists(st.sampled_from([b"NaN", b'{"a":1,"a":1}', b'"\\u0000"', b"1e99"]), max_size=3))
    mixed = data.draw(st.permutations([*texts, *bad]))

    read = load_items(b"[" + b" , ".join(mixed) + b"]")

    assert len(read) == len(mixed)
    for text, item in zip(mixed, read, strict=True):
        if isinstance(item, Unreadable):
            assert item.text == text
            with pytest.raises(MalformedError):
                loads(text)
        else:
            assert item == loads(text)


HOSTILE: list[tuple[str, Callable[[int], bytes]]] = [
    ("distinct keys", lambda n: b"{" + b",".join(b'"%d":1' % i for i in range(n // 9)) + b"}"),
    (
        "distinct keys, the last twice",
        lambda n: b"{" + b",".join(b'"%d":1' % i for i in range(n // 9)) + b',"x":1,"x":1}',
    ),
    ("one key repeated", lambda n: b"{" + b",".join([b'"a":1'] * (n // 6)) + b"}"),
    ("depth", lambda n: b"[" * (n // 2) + b"]" * (n // 2)),
    ("depth of objects", lambda n: b'{"a":' * (n // 5)),
    ("flat arrays", lambda n: b"[" + b",".join([b"[[]]"] * (n // 5)) + b"]"),
    ("digits", lambda n: b"9" * n),
    ("numbers", lambda n: b"[" + b",".join([b"1e60"] * (n // 5)) + b"]"),
    ("bad numbers", lambda n: b"[" + b",".join([b"1e999"] * (n // 6)) + b"]"),
    ("escapes", lambda n: b'"' + b"\\ud800" * (n // 6) + b'"'),
    ("escaped quotes, unclosed", lambda n: b'[NaN,{"a":"' + b'\\"' * (n // 2)),
    ("quotes", lambda n: b"[NaN," + b'"' * n),
    ("control characters", lambda n: b"[" + b",".join([b'"\x01"'] * (n // 4)) + b"]"),
    ("long mended text", lambda n: b'[{"metadata":"' + b"\\u0000" * (n // 6) + b'"},NaN]'),
    ("bytes that are not UTF-8", lambda n: b"[NaN," + b"\xff" * n),
    ("line breaks", lambda n: b"\n" * n),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in HOSTILE])
def test_the_time_to_read_hostile_bytes_is_linear(make: Callable[[int], bytes]) -> None:
    """1 MB takes at most a second, whatever its contents: quadratic work would take minutes."""
    text = make(1_000_000)
    began = time.process_time()
    with contextlib.suppress(MalformedError, InvalidError):
        load_items(text)

    assert time.process_time() - began < 2
