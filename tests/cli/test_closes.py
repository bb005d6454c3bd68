"""Commands of the monthly close."""

from pathlib import Path

from faregate.wire import exact_json
from support.processes import run_command

ACCOUNTS = '{"cash": "1200", "deferred_revenue": "2400"}'


async def test_a_month_is_closed_stated_and_exported(database_url: str, tmp_path: Path) -> None:
    async def typed(*arguments: str) -> tuple[int, str, str]:
        done = await run_command(
            *arguments,
            FAREGATE_DATABASE_URL=database_url,
            FAREGATE_JOURNAL_ACCOUNTS='{"cash": "1000", "usage_revenue": "4000"}',
        )
        return done.code, done.out, done.err

    (tmp_path / "accounts.json").write_text(ACCOUNTS)
    backdated = ("--effective-at", "2026-01-05T00:00:00Z")
    _, granted, _ = await typed("grants", "add", "=ada", "100", "--key", "k", *backdated, "-o", "json")
    grant_id: str = exact_json.loads(granted.encode())["grant"]["id"]
    paid = await typed("close", "payment", "=ada", grant_id, "10", "--paid-at", "2026-01-05T00:00:00Z")
    run = await typed("close", "run", "2026-01")
    refused = await typed("close", "run", "2026-03")
    stated = await typed("close", "statement", "2026-01", "-o", "csv")
    journal = await typed("close", "journal", "2026-01", "-o", "csv", "--accounts", str(tmp_path / "accounts.json"))
    verified = await typed("close", "verify", "-o", "json")

    assert paid[:2] == (0, "recorded: 10 USD paid for this grant in all\n")
    assert run[0] == 0
    assert "deferred revenue, closing" in run[1]
    assert (refused[0], "close 2026-02 first" in refused[2]) == (1, True)
    assert stated[1].splitlines()[1].startswith("'=ada,0.000000,100.000000,")
    assert journal[1].splitlines() == [
        "entry,date,account,name,memo,debit,credit,unit",
        "2026-01-usd-1,2026-01-31,1200,cash,payments received,10.00,0,USD",
        "2026-01-usd-1,2026-01-31,2400,deferred_revenue,payments received,0,10.00,USD",
    ]
    assert exact_json.loads(verified[1].encode()) == {"drifts": [], "clean": True}
