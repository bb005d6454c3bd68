"""Commands for features, plans, prices and organisations."""

import re
from pathlib import Path
from typing import Any

import pytest

from faregate.wire import exact_json
from support.processes import run_command

FILE = """
[[features]]
key = "chat"
strategy = "token_priced"
min_credits = 0.5

[[plans]]
key = "pro"
features.chat.margin_percent = 5
grants = [{ credits = 50, every = "month" }]
"""


async def test_changes_of_a_file_are_shown_before_they_are_applied(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "offer.toml"
    file.write_text(FILE)
    shown = await run_command("features", "apply", str(file), FAREGATE_DATABASE_URL=database_url)
    applied = await run_command("features", "apply", str(file), "--yes", FAREGATE_DATABASE_URL=database_url)
    again = await run_command("features", "apply", str(file), FAREGATE_DATABASE_URL=database_url)
    plans = await run_command("plans", "apply", str(file), "--yes", FAREGATE_DATABASE_URL=database_url)

    assert (shown.code, applied.code, plans.code) == (0, 0, 0), shown.err + applied.err + plans.err
    assert "token_priced" in shown.out
    assert "not applied" in shown.out
    assert "nothing differs" in again.out
    assert "1 plans applied" in plans.out


async def test_a_price_is_set_quoted_and_withdrawn(database_url: str) -> None:
    set_ = await run_command(
        "prices", "set", "our-model", "input_mtok=2.5", "--margin", "0", FAREGATE_DATABASE_URL=database_url
    )
    quoted = await run_command(
        "prices", "quote", "our-model", "input_tokens=1000", "-o", "json", FAREGATE_DATABASE_URL=database_url
    )
    unknown = await run_command("prices", "quote", "nobody-knows", "input_tokens=1", FAREGATE_DATABASE_URL=database_url)
    checked = await run_command("prices", "check", FAREGATE_DATABASE_URL=database_url)

    assert "override 1 for our-model" in set_.out, set_.err
    assert exact_json.loads(quoted.out.encode())["credits"] == exact_json.loads("0.25")
    assert (unknown.code, checked.code) == (1, 0)


@pytest.mark.parametrize(("text", "problem"), [("x = 1", "features is missing"), ("[[features]]", "a unique key")])
async def test_an_error_in_a_file_is_reported_with_its_place(
    database_url: str, tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "offer.toml"
    file.write_text(text)
    done = await run_command("features", "apply", str(file), FAREGATE_DATABASE_URL=database_url)

    assert (done.code, problem in done.err) == (1, True), done.err


async def test_the_changes_of_a_plan_are_shown_before_they_are_applied(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "offer.toml"
    file.write_text(FILE)
    await run_command("features", "apply", str(file), "--yes", FAREGATE_DATABASE_URL=database_url)
    await run_command("plans", "apply", str(file), "--yes", FAREGATE_DATABASE_URL=database_url)
    file.write_text(FILE.replace("margin_percent = 5", "margin_percent = 7"))
    shown = await run_command("plans", "apply", str(file), FAREGATE_DATABASE_URL=database_url)
    applied = await run_command("plans", "apply", str(file), "--yes", FAREGATE_DATABASE_URL=database_url)
    again = await run_command("plans", "apply", str(file), FAREGATE_DATABASE_URL=database_url)

    assert (shown.code, applied.code, again.code) == (0, 0, 0), shown.err + applied.err + again.err
    assert re.search(r"margin_percent.*5.*7", shown.out, re.DOTALL), shown.out
    assert "not applied" in shown.out
    assert "nothing differs" in again.out


async def test_organisations_are_listed_and_their_members_limited(database_url: str) -> None:
    async def type_(*arguments: str) -> Any:
        done = await run_command("organizations", *arguments, "-o", "json", FAREGATE_DATABASE_URL=database_url)
        assert done.code == 0, done.err
        return exact_json.loads(done.out.encode())

    await type_("set", "acme", "--policy", "pooled", "--join", "kim", "--join", "lee")
    await type_("limit", "acme", "month", "--hard", "50")
    await type_("limit", "acme", "day", "--member", "kim", "--soft", "2.5")
    listed, shown, limits = await type_("list"), await type_("show", "acme"), await type_("limit", "acme")

    assert listed == [{"organization_id": "acme", "policy": "pooled"}]
    assert shown == [{"organization_id": "acme", "policy": "pooled", "members": ["kim", "lee"]}]
    assert {(one["member"], one["period"], one["soft"], one["hard"]) for one in limits} == {
        (None, "month", None, 50),
        ("kim", "month", None, 50),  # hers now, too, since she has limits of her own
        ("kim", "day", exact_json.loads("2.5"), None),
    }
