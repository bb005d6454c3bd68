"""Ids with `|`, `+`, `/` and `=` on the command line, and in files for spreadsheets."""

import csv
import io
from pathlib import Path

from faregate.wire import exact_json
from support.processes import run_command

ID = "=auth0|1/2+3"
"""As a cell of a spreadsheet it would be a formula."""


async def test_commands_take_the_id_and_files_hold_no_formula(database_url: str, tmp_path: Path) -> None:
    async def typed(*arguments: str) -> str:
        done = await run_command(*arguments, FAREGATE_DATABASE_URL=database_url)
        assert done.code == 0, done.err
        return done.out

    await typed("grants", "add", ID, "10")
    await typed("debit", ID, "4", "--service", "chat", "--reason", "an hour")
    await typed("usage", "record", "api", "4", "--user", ID, "--id", "k")
    shown = exact_json.loads((await typed("wallets", "show", ID, "-o", "json")).encode())
    await typed("usage", "export", "csv", str(tmp_path), "--user", ID)
    (file,) = tmp_path.glob("usage-events_*.csv")
    exported = list(csv.DictReader(io.StringIO(file.read_text())))

    assert (shown["owner_id"], shown["balance"]) == (ID, 6)
    assert {row["user_id"] for row in exported} == {f"'{ID}"}
