"""Rules that say what becomes of events from other systems: declared, checked, tried, applied."""

from typing import Any

import pytest

from faregate.core.errors import InvalidError
from faregate.usage.foreign.field_paths import FieldPath
from faregate.usage.foreign.rules import ForeignEvent, IngestRuleDocument
from support.apps import Gateway

EVENT: dict[str, Any] = {
    "transaction_id": "t1",
    "code": "llm_call",
    "properties": {"who": {"id": 7}, "used": [{"in": 10, "out": "5"}], "model": "gpt-4o", "team": "acme"},
}
RULE: dict[str, Any] = {
    "forms": ["lago"],
    "where": {"code": ["llm_*", "chat"], "properties.team": "*"},
    "fields": {
        "user_id": ["properties.nobody", "properties.who.id"],
        "input_tokens": "properties.used.0.in",
        "output_tokens": "$.properties.used.0.out",
        "service": {"value": "assistant"},
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.c", 1),
        ("$.a.b.c", 1),
        ("a.b", {"c": 1}),
        ("list.1.x", 3),
        ("gen_ai.request.model", "m"),
        ("deep.x.y", 5),
        ("a.b.c.d", None),
        ("list.2", None),
        ("list.x", None),
        ("nothing", None),
    ],
)
def test_a_path_finds_names_with_dots_before_parts_of_them(path: str, value: object) -> None:
    tree = {"a": {"b": {"c": 1}}, "list": [0, {"x": 3}], "gen_ai.request.model": "m", "deep.x": {"y": 5}, "deep": {}}

    assert FieldPath(path).value_in(tree) == value


@pytest.mark.parametrize("path", ["", ".", "a..b", "a b", "$", "a.", "x" * 301, ".".join("abcdefghijklmnopq")])
def test_a_text_that_is_no_path_is_refused(path: str) -> None:
    if path == "$":
        assert FieldPath(path).value_in({"$": 1}) == 1
        return
    with pytest.raises(InvalidError):
        FieldPath(path)


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("llm", "llm", True),
        ("llm", "llm2", False),
        ("llm_*", "llm_", True),
        ("*call", "a call", True),
        ("a.c", "abc", False),
        ("true", True, True),
        ("5", 5, True),
        ("*", "", True),
        ("*", None, False),
        ("*", {}, True),
        ("a*", {}, False),
    ],
)
def test_a_pattern_matches_whole_values(pattern: str, value: object, matches: bool) -> None:
    rule = IngestRuleDocument.of({"forms": ["lago"], "where": {"x": pattern}}).rule("r")

    assert rule.applies_to(ForeignEvent("lago", "s", "i", {"x": value})) == matches


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forms": []}, "forms"),
        ({"forms": ["mail"]}, "forms"),
        ({"action": "charge"}, "feature_key is required for charge"),
        ({"action": "charge", "feature_key": "nobody"}, "No feature 'nobody'"),
        ({"fields": {"user": "a"}}, "user is not known here"),
        ({"fields": {"user_id": "a..b"}}, "is not a path"),
        ({"fields": {"user_id": []}}, "fields"),
        ({"where": {"a": "*b*c*d*"}}, "at most 3"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_not_stored(gateway: Gateway, change: dict[str, Any], said: str) -> None:
    refused = await gateway.put("/api/ingest-rules/llm", {**RULE, **change})

    assert refused.status in {404, 422}
    assert said in refused.error["detail"]
    assert (await gateway.get("/api/ingest-rules")).data == []


async def test_a_rule_is_tried_without_a_trace_and_then_applied(gateway: Gateway) -> None:
    body = {"form": "lago", "event": EVENT}
    before = await gateway.post("/api/ingest-rules/try", body)
    tried = await gateway.post("/api/ingest-rules/try", {**body, "rule": RULE, "name": "llm"})

    assert (before.status, before.error["param"]) == (422, "user_id")
    assert "external_subscription_id" in before.error["detail"]
    assert (tried.data["outcome"], tried.data["rule"]) == ("recorded", "llm")
    counted = {name: tried.data["event"][name] for name in ("user_id", "service", "input_tokens", "output_tokens")}
    assert counted == {"user_id": "7", "service": "assistant", "input_tokens": 10, "output_tokens": 5}
    assert (await gateway.get("/api/ingest-rules")).data == []

    await gateway.put("/api/ingest-rules/llm", RULE)
    assert (await gateway.post("/api/v1/events", {"event": EVENT})).status == 200
    fate = (await gateway.get("/api/usage-events/fate?source=lago&id=t1")).data
    assert (fate["status"], fate["event"]["user_id"]) == ("counted", "7")


async def test_the_first_rule_by_position_decides_and_ignored_events_are_accepted(gateway: Gateway) -> None:
    await gateway.put("/api/ingest-rules/a", RULE)
    await gateway.put("/api/ingest-rules/b", {"forms": ["lago"], "action": "ignore", "position": 1})

    tried = await gateway.post("/api/ingest-rules/try", {"form": "lago", "event": EVENT})
    sent = await gateway.post("/api/v1/events", {"event": EVENT})

    assert [rule["name"] for rule in (await gateway.get("/api/ingest-rules")).data] == ["b", "a"]
    assert (tried.data, sent.status) == ({"outcome": "passed", "rule": "b", "event": None, "charge": None}, 200)
    assert (await gateway.get("/api/usage-events/fate?source=lago&id=t1")).status == 404


async def test_changes_of_rules_are_in_the_audit_log_and_a_removed_rule_no_longer_applies(gateway: Gateway) -> None:
    await gateway.put("/api/ingest-rules/llm", RULE)
    gone = await gateway.call("DELETE", "/api/ingest-rules/llm")
    again = await gateway.call("DELETE", "/api/ingest-rules/llm")

    actions = [entry["action"] for entry in (await gateway.get("/api/audit")).data]
    assert (gone.status, again.status, again.error["code"]) == (200, 404, "unknown_ingest_rule")
    assert actions[:2] == ["ingest-rules.delete_rule", "ingest-rules.put_rule"]
    history = await gateway.container.ingest_rules().history("llm")
    assert [version.content is None for version in history] == [True, False]


async def test_a_tried_rule_that_charges_shows_the_charge(gateway: Gateway) -> None:
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 3})
    rule = {**RULE, "action": "charge", "feature_key": "chat"}
    tried = await gateway.post("/api/ingest-rules/try", {"form": "lago", "event": EVENT, "rule": rule})

    assert tried.data["outcome"] == "charged"
    assert (tried.data["charge"]["feature_key"], tried.data["charge"]["tokens"]) == (
        "chat",
        {"input_tokens": 10, "output_tokens": 5},
    )
