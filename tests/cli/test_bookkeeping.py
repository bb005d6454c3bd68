"""Commands for wallets, grants, corrections, statements and imports."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.wire import exact_json
from support.processes import Finished, run_command


class Desk:
    """Runs commands on one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def type(self, *arguments: str) -> Finished:
        return await run_command(*arguments, FAREGATE_DATABASE_URL=self._url)

    async def json(self, *arguments: str) -> Any:
        done = await self.type(*arguments, "-o", "json")
        assert done.code == 0, done.err
        return exact_json.loads(done.out.encode())


@pytest.fixture
def desk(database_url: str) -> Desk:
    return Desk(database_url)


async def test_a_grant_is_shown_adjusted_and_in_the_statement(desk: Desk) -> None:
    added = await desk.type("grants", "add", "ada", "20", "--key", "order-7", "--reason", "order 7")
    again = await desk.type("grants", "add", "ada", "20", "--key", "order-7", "--reason", "order 7")
    down = await desk.type("adjust", "ada", "-2.5", "--reason", "counted twice", "--actor", "eve")
    moved = await desk.json("transactions", "ada")
    wallet = await desk.json("wallets", "show", "ada")
    stated = await desk.json("statement", "ada", "--from", "2020-01-01", "--to", "2099-01-01")

    assert added.out.startswith("granted: 20 credits")
    assert again.out.startswith("granted before: 20 credits")
    assert "eve" in down.out
    assert (moved[0]["kind"], moved[0]["amount"], moved[0]["actor"]) == ("adjustment", Decimal("-2.5"), "eve")
    assert (wallet["balance"], len(wallet["grants"])) == (Decimal("17.5"), 1)
    assert (stated["granted"]["purchase"], stated["adjusted"], stated["closing"]) == (
        20,
        Decimal("-2.5"),
        Decimal("17.5"),
    )


async def test_a_debit_is_refunded_in_part_and_its_purchase_charged_back_once_each(desk: Desk) -> None:
    purchase = ("grants", "add", "ada", "20", "--reason", "order 7")
    granted = await desk.json(*purchase, "--key", "order-7")
    debit = ("debit", "ada", "5", "--service", "support", "--reason", "an hour", "--key", "call-1", "--actor", "eve")
    debited = await desk.json(*debit)
    charge, bought = [t["id"] for t in await desk.json("transactions", "ada")]
    refund = ("refund", charge, "--credits", "2", "--reason", "half an hour", "--key", "ticket-9")
    refunded, again = await desk.json(*refund), await desk.json(*refund)
    conflict = await desk.type("refund", charge, "--reason", "all of it", "--key", "ticket-9")
    back = await desk.json("chargeback", bought, "--reason", "dispute 77", "--key", "dispute-77")
    moved = await desk.json("transactions", "ada")

    assert (granted["done"], granted["grant"]["credits"], granted["free"]) == ("granted", 20, 20)
    assert (debited["credits_charged"], debited["usage_key"], debited["feature_key"]) == (5, "call-1", "support")
    assert (moved[-2]["actor"], moved[-2]["reason"]) == ("eve", "an hour")
    assert (refunded["amount"], refunded["corrects"], again) == (2, charge, refunded)
    assert (conflict.code, "was already used for a different correction" in conflict.err) == (1, True)
    assert [(t["kind"], t["amount"], t["corrects"]) for t in back] == [
        ("chargeback", -17, bought),
        ("shortfall", 0, bought),
    ]
    assert len(moved) == 5


async def test_a_recurring_grant_is_listed_and_voided_and_the_ledger_has_a_digest(desk: Desk) -> None:
    every = ("--source", "plan", "--every", "month", "--rollover-min", "1", "--rollover-max", "5")
    added = await desk.json("grants", "add", "ada", "10", *every)
    voided = await desk.json("grants", "void", "ada", added["grant"]["id"], "--reason", "in error", "--actor", "eve")
    (listed,) = await desk.json("grants", "list", "ada")
    told = await desk.type("grants", "list", "ada")
    digest = await desk.json("digest")
    adjusted = await desk.json("adjust", "ada", "2", "--reason", "goodwill")
    after = await desk.type("digest")

    assert (voided["done"], voided["grant"]["status"], voided["balance"]) == ("voided", "voided", 0)
    assert (listed["id"], listed["voided_by"], listed["void_reason"]) == (added["grant"]["id"], "eve", "in error")
    assert "voided" in told.out
    assert (digest["wallets"], digest["transfers"], adjusted["amount"]) == (1, 2, 2)
    assert ("3 transfers" in after.out, digest["digest"] in after.out) == (True, False)


async def test_a_key_has_a_spend_cap_that_its_successor_keeps(desk: Desk) -> None:
    made = await desk.json("keys", "create", "billing", "--scope", "credits:process")
    await desk.type("keys", "cap", made["key_id"], "month", "50")
    await desk.type("keys", "cap", made["key_id"], "day", "9")
    await desk.type("keys", "cap", made["key_id"], "day")
    successor = await desk.json("keys", "rotate", made["key_id"])
    caps = [await desk.json("keys", "cap", key["key_id"]) for key in (made, successor)]
    unknown = await desk.type("keys", "cap", "nobody", "month", "5")

    assert [[(one["period"], one["hard"]) for one in found] for found in caps] == [[("month", 50)]] * 2
    assert (unknown.code, "Traceback" in unknown.err) == (1, False)


async def test_without_wallets_the_list_is_empty(desk: Desk) -> None:
    assert await desk.json("wallets", "list") == []
    assert await desk.json("wallets", "list", "--prefix", "org:") == []


async def test_a_wallet_is_changed_and_listed(desk: Desk) -> None:
    changed = await desk.type("wallets", "set", "ada", "--plan", "gold", "--credit-limit", "5", "--top-up", "50:100")
    await desk.type("wallets", "limit", "ada", "month", "--hard", "30")
    listed = await desk.json("wallets", "list")
    limits = await desk.json("wallets", "limit", "ada")

    assert "100 below 50" in changed.out
    assert [(w["owner_id"], w["plan"], w["free"]) for w in listed] == [("ada", "gold", 5)]
    assert [(limit["period"], limit["hard"]) for limit in limits] == [("month", 30)]


async def test_opening_balances_are_imported_once_and_all_or_nothing(desk: Desk, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("owner_id,credits,expires_at\nada,10.5,\norg:acme,1000,2099-01-31T00:00:00Z\n")
    bad.write_text("owner_id,credits\nbela,10\ncara,many\n")
    first, again, refused = [await desk.type("import", str(file)) for file in (good, good, bad)]
    counted = await desk.json("import", str(good), "--run", "good")
    listed = await desk.json("wallets", "list")

    assert (first.code, first.out.split(" opening")[0]) == (0, "2 of 2")
    assert again.out.startswith("0 of 2")
    assert counted == {"lines": 2, "granted": 0}
    assert (refused.code, "line 3" in refused.err) == (1, True)
    assert [(w["owner_id"], w["balance"]) for w in listed] == [("ada", Decimal("10.5")), ("org:acme", 1000)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grants", "add", "ada", "many"), "credits 'many' is not a number; write it as 12.5"),
        (("grants", "add", "ada", "5", "--rollover-max", "1"), "rollover requires `every`"),
        (("adjust", "ada", "1", "--reason", " "), "reason is required"),
        (("statement", "ada", "--from", "soon", "--to", "2099-01-01"), "from 'soon' is no date or time"),
        (("wallets", "set", "ada", "--top-up", "50"), "BELOW:CREDITS"),
    ],
)
async def test_a_refused_command_prints_one_line(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    done = await desk.type(*arguments)

    assert (done.code, said in done.err, "Traceback" in done.err) == (1, True, False), done.err


@pytest.mark.parametrize("name", ["bootstrap", "key:01", "System:jobs"])
async def test_an_actor_that_is_not_a_person_is_refused(name: str) -> None:
    """Actions of people are never recorded under the name of a credential."""
    done = await run_command("adjust", "ada", "5", "--reason", "test", "--actor", name)

    assert done.code == 1
    assert "is not a person" in done.err
