"""GraphQL: abusive documents are refused quickly, before anything runs; the price of a query is known and never too low."""

import time
from typing import Any

import pytest
from graphql import get_introspection_query, parse
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import FaregateError, MalformedError
from faregate.gateway.graphql.cost import QueryCost
from faregate.gateway.graphql.limits import shape_of
from faregate.gateway.graphql.prepared import prepared
from faregate.gateway.graphql.schema import graph_schema

LIMIT = 5_000
SECONDS = 1.0
"""Far above what a refusal takes (0.2 s at most), and far below what the attacks take without the limits."""


def spread(count: int) -> str:
    """Return `count` fragments of which each spreads the next one twice: 2^count fields."""
    inner = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(count))
    return f"{{ ...f0 }} {inner} fragment f{count} on Query {{ caller {{ userId }} }}"


ABUSES = {
    "long": ("{" + "a " * 25_000 + "}", "words and signs"),
    "brackets": ("{" * 1_000 + "}" * 1_000, "nests brackets"),
    "lists in lists": ("{ caller { userId(x: " + "[" * 200 + "]" * 200 + ") } }", "nests brackets"),
    "deep": ("{ wallet " + "{ transactions { items { story " * 4 + "{ hold }" + "} } }" * 4 + "}", "levels of fields"),
    "aliases": ("{" + "".join(f"a{n}: caller {{ userId }} " for n in range(31)) + "}", "31 aliases"),
    "aliases in fragments": (
        "{ ...f ...f } fragment f on Query {" + "".join(f"a{n}: caller {{ userId }} " for n in range(16)) + "}",
        "32 aliases",
    ),
    "one field many times": ("{ caller {" + "userId " * 1_500 + "} }", "fields"),
    "one object many times": ("{" + "usage { items { wallet { grants { id } } } } " * 90 + "}", "fields"),
    "fragments that spread each other": (spread(28), "more than a million fields"),
    "many fragments": (spread(40), "41 fragments"),
    "a circle": ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "spreads itself"),
    "pages in pages": (
        "{ usage(limit: 1000) { items { wallet { transactions(limit: 1000) { items { amount } } } } } }",
        "1007006 points",
    ),
    "the largest page by a variable": (
        "query ($n: Int!) { usage(limit: $n) { items { wallet { grants { id } } } } }",
        "at most 5000",
    ),
    "a service many times": (
        "{" + "".join(f"a{n}: analytics {{ timeseries {{ period credits }} }} " for n in range(30)) + "}",
        "3330 points",
    ),
    "a change": ("mutation { grant }", "only reads"),
    "a subscription": ("subscription { usage }", "only reads"),
    "no operation": ("fragment f on Query { caller { userId } }", "several operations, or none"),
    "which one": ("query a { caller { userId } } query b { caller { userId } }", "several operations"),
}


def refusal(text: str, **variables: Any) -> str:
    limit = 3_000 if "timeseries" in text else LIMIT
    with pytest.raises(FaregateError) as caught:
        prepared(graph_schema().core, text, None, variables, cost_limit=limit)
    assert caught.value.code in {"invalid", "malformed"}
    return caught.value.detail


@pytest.mark.parametrize("name", ABUSES)
def test_an_abusive_document_is_refused_quickly_with_the_reason_and_the_fix(name: str) -> None:
    text, reason = ABUSES[name]
    began = time.process_time()
    detail = refusal(text, n=1_000)

    assert reason in detail
    assert time.process_time() - began < SECONDS
    assert len(detail) < 300, "the document is not repeated"


def test_what_validation_refuses_is_refused_as_quickly() -> None:
    """The rules that compare every pair of fields, arguments and directives, at the limits."""
    hard = [
        "{" + " ".join(f"usage(limit: {n}) {{ nextCursor }}" for n in range(145)) + "}",
        "{ caller { userId " + "@skip(if: false) " * 230 + "} }",
        "{ usage(" + " ".join("limit: 1" for _ in range(450)) + ") { nextCursor } }",
        "query (" + " ".join(f"$v{n}: Int" for n in range(480)) + ") { caller { userId } }",
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
    ]
    for text in hard:
        began = time.process_time()
        found = prepared(graph_schema().core, text, None, {}, cost_limit=LIMIT)
        assert found.errors, text[:60]
        assert len(found.errors) <= 11
        assert time.process_time() - began < SECONDS, text[:60]


def test_the_whole_schema_may_be_asked_for() -> None:
    assert prepared(graph_schema().core, get_introspection_query(), None, {}, cost_limit=LIMIT).cost == QueryCost(200)


@pytest.mark.parametrize(
    "text", ["", "{", "{ caller { userId } ", "{ 'x' }", 'query { a(b: "x) }', "\x00", "{ caller } }"]
)
def test_what_is_not_graphql_is_malformed_with_its_place(text: str) -> None:
    with pytest.raises(MalformedError, match=r"line \d+ column \d+"):
        prepared(graph_schema().core, text, None, {}, cost_limit=LIMIT)


PRICES = [
    ("{ caller { userId scopes } }", QueryCost(1, 0)),
    ("{ wallet { credits balance } }", QueryCost(4, 1)),
    ("{ wallet { grants { id } } }", QueryCost(3 + 1 + 2 + 10, 2)),
    ("{ usage(limit: 7) { items { id } } }", QueryCost(5 + 1 + 7, 1)),
    ("{ usage { items { id } } }", QueryCost(5 + 1 + 20, 1)),
    ("{ usage(limit: 7) { items { wallet { credits } } } }", QueryCost(5 + 1 + 7 * (1 + 2 + 1), 2)),
    ("query ($n: Int = 3) { usage(limit: $n) { items { id } } }", QueryCost(5 + 1 + 3, 1)),
    ("query ($n: Int) { usage(limit: $n) { items { id } } }", QueryCost(5 + 1 + 1000, 1)),
    ("{ usage(limit: -5) { items { id } } }", QueryCost(5 + 1 + 1, 1)),
    (
        "{ ...f } fragment f on Query { usage(limit: 7) { ...p } } fragment p on UsePage { items { id } }",
        QueryCost(13, 1),
    ),
    ("{ ... on Query { usage(limit: 7) { ... { items { id } } } } }", QueryCost(13, 1)),
    ("{ analytics { topUsers(limit: 4) { userId } } }", QueryCost(1 + 10 + 4, 1)),
    ("{ analytics { metrics { totalRequests } models { model } } }", QueryCost(1 + 11 + 30, 2)),
]


@pytest.mark.parametrize(("text", "cost"), PRICES, ids=[text[:50] for text, _ in PRICES])
def test_the_price_of_a_query(text: str, cost: QueryCost) -> None:
    assert prepared(graph_schema().core, text, None, {}, cost_limit=LIMIT).cost == cost


_LEAVES = st.sampled_from(["{ id }", "{ creditsCharged }", "{ id userId }"])


@st.composite
def _pages(draw: st.DrawFn) -> tuple[str, int]:
    """Return a query of pages within pages, and the number of objects that its answer has if every page is full."""
    outer, inner = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    shape = draw(st.sampled_from(["flat", "wallet", "transactions"]))
    if shape == "flat":
        return f"{{ usage(limit: {outer}) {{ items {draw(_LEAVES)} }} }}", 1 + outer
    if shape == "wallet":
        return f"{{ usage(limit: {outer}) {{ items {{ wallet {{ credits }} }} }} }}", 1 + 2 * outer
    inside = f"wallet {{ transactions(limit: {inner}) {{ items {{ amount }} }} }}"
    return f"{{ usage(limit: {outer}) {{ items {{ {inside} }} }} }}", 1 + outer * (3 + inner)


@given(_pages(), st.integers(1, 6))
def test_a_price_is_at_least_the_number_of_objects_and_grows_with_every_repetition(
    asked: tuple[str, int], times: int
) -> None:
    text, objects = asked
    schema = graph_schema().core
    one = prepared(schema, text, None, {}, cost_limit=10**9).cost
    inner = text.strip()[1:-1]
    many = "{" + " ".join(inner.replace("usage(", f"a{n}: usage(") for n in range(times)) + "}"

    assert one.points >= objects
    assert prepared(schema, many, None, {}, cost_limit=10**9).cost == QueryCost(one.points * times, one.calls * times)


def _nested(parts: list[str]) -> str:
    return " ".join(f"a{n}: wallet {{ {part} }}" for n, part in enumerate(parts))


@given(st.recursive(st.just("caller { userId }"), lambda inner: st.lists(inner, min_size=1, max_size=4).map(_nested)))
def test_a_document_has_the_same_shape_with_and_without_fragments(inner: str) -> None:
    plain = shape_of(parse("{" + inner + "}"))
    through = shape_of(parse("{ ...f } fragment f on Query {" + inner + "}"))

    assert plain == through
    assert plain.fields >= 2


def test_every_list_of_the_schema_has_a_price() -> None:
    """A new list field that declares nothing would count as one object."""
    schema = graph_schema().core
    bare = []
    for kind in schema.type_map.values():
        fields: dict[str, Any] = {} if kind.name.startswith("__") else getattr(kind, "fields", {})
        for name, field in fields.items():
            below = schema.type_map[str(field.type).strip("[]!")]
            declared = getattr(field.extensions.get("strawberry-definition"), "metadata", {})
            if "[" in str(field.type) and hasattr(below, "fields") and "price" not in declared:
                bare.append(f"{kind.name}.{name}")
    assert bare == []
