"""Wallets, grants, corrections, statements and imports as an operator types them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.core import exact_json
from support.processes import Finished, run_command


class Desk:
    """Types commands on one database."""

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


async def test_what_is_granted_is_shown_corrected_and_stated(desk: Desk) -> None:
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
    listed = await desk.json("wallets", "list")

    assert (first.code, first.out.split(" opening")[0]) == (0, "2 of 2")
    assert again.out.startswith("0 of 2")
    assert (refused.code, "line 3" in refused.err) == (1, True)
    assert [(w["owner_id"], w["balance"]) for w in listed] == [("ada", Decimal("10.5")), ("org:acme", 1000)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grants", "add", "ada", "many"), "credits 'many' is no number"),
        (("adjust", "ada", "1", "--reason", " "), "reason is required"),
        (("statement", "ada", "--from", "soon", "--to", "2099-01-01"), "from 'soon' is no date or time"),
        (("wallets", "set", "ada", "--top-up", "50"), "BELOW:CREDITS"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    done = await desk.type(*arguments)

    assert (done.code, said in done.err, "Traceback" in done.err) == (1, True, False), done.err
