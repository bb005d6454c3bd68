"""Audit entries of commands.

Every command that changes something or reads data about a person writes one entry with the operator and the host; other
commands write none.
"""

import getpass
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from faregate.cli.main import command_line
from faregate.wire import exact_json
from support.mentions import mentions
from support.processes import Finished, run_command

NOT_AUDITED = {
    **dict.fromkeys(("up", "gateway", "worker"), "servers audit their own operations"),
    **dict.fromkeys(("demo", "replay", "tour", "bench", "chaos"), "they work on private data"),
    "migrate": "the version table records it",
    "bi columns": "what the views mean",
    **dict.fromkeys(
        ("bills list", "bills lines", "bills compare"), "costs, and ids of uses and of providers' requests"
    ),
    "export check": "it reads a file",
    "completion": "a script for the shell",
    "doctor": "it checks the machine",
    "audit": "it would record itself",
    "verify": "it reads sums and prints none of them",
    "digest": "one hash of everything",
    "payments events": "ids and amounts of Stripe's events, about nobody",
    "payments packages": "prices, about nobody",
    **dict.fromkeys(("close list", "close show", "close journal"), "sums over all wallets"),
    "close verify": "it reads sums and prints those that are wrong",
    "features list": "what is sold",
    "features show": "what is sold",
    "plans list": "what is sold",
    "prices show": "what models cost",
    "prices quote": "what models cost",
    "prices check": "usage keys and models, no personal data",
    "keys list": "credentials without their secrets",
    **dict.fromkeys(("tenants list", "tenants show"), "names of tenants and of their settings"),
    "organizations list": "ids and policies",
    "logs retention show": "days by feature",
    "logs new-key": "a random number that is not stored",
    "usage record": "events are a record of their own",
    "usage rollup": "sums that follow from the events",
    **dict.fromkeys(("columnar copy", "columnar status"), "a copy that follows from the events"),
    **dict.fromkeys(
        ("usage stats", "usage trends", "usage peaks", "usage totals", "usage series"), "sums over all users"
    ),
    "usage distribution": "sums over all users",
    **dict.fromkeys(("insights forecast", "insights cohorts", "insights adoption"), "sums over all users"),
    **dict.fromkeys(
        ("insights savings", "insights what-if", "insights capacity", "insights satisfaction"), "sums over all users"
    ),
    **dict.fromkeys(("insights budgets", "insights objectives"), "sums of features, models and organisations"),
    **dict.fromkeys(("reports list", "reports show", "reports deliveries"), "addresses of recipients, no use"),
    "reports send": "it sends what the worker would send",
    "ingest list": "rules, nobody's data",
    "ingest try": "it shows what a rule would make of a sample",
    "insights segment list": "rules, nobody's data",
    "insights make": "it makes what the worker would make, and shows nobody",
    "usage meters list": "what is metered",
    "quotas status": "limits and sums",
    "quotas check": "limits and sums",
    "alerts test": "it sends a message without data",
    "alerts list": "limits and sums",
    "alerts check": "it creates the alerts that the worker would create",
}


def commands(app: App, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in app:
        if name.startswith("-"):
            continue
        found = app[name]
        whole = f"{path} {name}".strip()
        nested = list(commands(found, whole))
        yield from nested
        if not nested:
            yield whole, found.default_command


def test_every_command_is_audited_or_listed_with_a_reason() -> None:
    found = dict(commands(command_line()))
    not_audited = {name for name, function in found.items() if not hasattr(function, "__audited__")}
    reasons = {name for name in not_audited if name in NOT_AUDITED or name.split()[0] in NOT_AUDITED}

    assert not_audited - reasons == set()
    assert {name for name in NOT_AUDITED if name in found} <= not_audited
    assert len(found) - len(not_audited) > 35


def test_audited_parameters_exist_in_the_command() -> None:
    import inspect

    for name, function in commands(command_line()):
        declared = getattr(function, "__audited__", None)
        if declared is not None:
            named = {declared.owner, declared.when, *declared.target} - {None}
            assert named <= set(inspect.signature(function).parameters), name


def test_parameters_that_an_entry_takes_for_a_person_are_people() -> None:
    import inspect

    for name, function in commands(command_line()):
        if hasattr(function, "__audited__"):
            named = inspect.signature(function).parameters
            assert all(named[person].default is None for person in ("actor", "by") if person in named), name


class Desk:
    """Runs commands on one database."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory

    async def type(self, *arguments: str) -> Finished:
        done = await run_command(*arguments, FAREGATE_DATABASE_URL=self._url, FAREGATE_DATA_DIR=str(self._directory))
        assert done.code == 0, done.err
        return done

    async def entries(self, *arguments: str) -> list[Any]:
        return list(exact_json.loads((await self.type("audit", "-o", "json", *arguments)).out))


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return Desk(database_url, tmp_path)


async def test_an_entry_names_operator_action_owner_host_and_represented_person(desk: Desk) -> None:
    await desk.type("grants", "add", "ada", "5")
    await desk.type("adjust", "ada", "5", "--reason", "hello", "--actor", "eve")
    entry, _ = await desk.entries()

    assert (entry["actor"], entry["action"], entry["owner_id"]) == (f"cli:{getpass.getuser()}", "wallets.adjust", "ada")
    assert entry["target"] == {"host": socket.gethostname(), "on_word_of": "eve"}
    assert (entry["address"], entry["request_id"][:4], len(entry["after_hash"])) == ("127.0.0.1", "cli:", 64)


async def test_before_and_after_hashes_differ_only_if_the_command_changed_something(desk: Desk) -> None:
    for limit in ("1", "1", "2"):
        await desk.type("wallets", "set", "ada", "--credit-limit", limit)
    changed, repeated, made = await desk.entries("--action", "wallets.put_wallet")

    assert made["before_hash"] is None
    assert made["after_hash"] == repeated["before_hash"] == repeated["after_hash"] == changed["before_hash"]
    assert changed["after_hash"] != changed["before_hash"]


async def test_reads_of_personal_data_are_audited_and_reads_of_definitions_are_not(desk: Desk) -> None:
    await desk.type("grants", "add", "ada", "5")
    for looked in (["wallets", "show", "ada"], ["privacy", "export", "ada", str(desk._directory / "ada.ndjson")]):
        await desk.type(*looked)
    for not_audited in (["features", "list"], ["wallets", "limit", "ada"], ["digest"]):
        await desk.type(*not_audited)

    found = [(entry["action"], entry["owner_id"]) for entry in await desk.entries()]
    assert found == [("privacy.export", "ada"), ("wallets.get_wallet", "ada"), ("wallets.add_grant", "ada")]


async def test_entries_of_keys_files_and_dead_letters_hold_their_ids(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "features.toml").write_text('[[features]]\nkey = "chat"\nstrategy = "free"\n')
    made = await desk.type("keys", "create", "shop", "--scope", "credits:process", "-o", "json")
    key = exact_json.loads(made.out)
    await desk.type("keys", "revoke", key["key_id"])
    await desk.type("features", "apply", str(tmp_path / "features.toml"))
    await desk.type("features", "apply", str(tmp_path / "features.toml"), "--yes")
    await desk.type("dlq", "drop", "--all")
    entries = await desk.entries()
    found = {entry["action"]: entry["target"] for entry in entries}

    assert [entry["action"] for entry in entries] == [
        "dead-letters.drop",
        "features.apply",
        "keys.revoke_key",
        "keys.create_key",
    ]
    assert found["keys.create_key"]["new_key_id"] == found["keys.revoke_key"]["key_id"] == key["key_id"]
    assert found["features.apply"]["keys"] == ["chat"]
    assert key["key"] not in str(entries)


async def test_the_entry_of_an_erasure_does_not_name_the_erased_user(desk: Desk) -> None:
    await desk.type("grants", "add", "ada", "5")
    await desk.type("privacy", "erase", "ada", "--yes", "--by", "dpo")
    (entry,) = await desk.entries("--action", "privacy.*")

    assert (entry["owner_id"], entry["after_hash"], entry["target"]["on_word_of"]) == (None, None, "dpo")
    assert not mentions(str(entry), "ada")


async def test_a_definition_with_decimals_and_dates_is_audited(desk: Desk) -> None:
    await desk.type("prices", "set", "our-model", "input_mtok=2.5", "output_mtok=10", "--provider", "us")
    await desk.type("plans", "list")
    (entry,) = await desk.entries()

    assert (entry["action"], entry["target"]["model"], len(entry["after_hash"])) == (
        "prices.put_price",
        "our-model",
        64,
    )


async def test_a_failed_command_changes_nothing_and_writes_no_entry(desk: Desk, database_url: str) -> None:
    refused = await run_command(
        "adjust", "ada", "-5", "--reason", "more than there is", FAREGATE_DATABASE_URL=database_url
    )

    assert refused.code == 1
    assert await desk.entries() == []
