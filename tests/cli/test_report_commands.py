"""`faregate reports`, as people type it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from faregate.wire import exact_json
from support.processes import Finished, run_command
from support.receivers import mail_server

YESTERDAY = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)


async def test_reports_are_set_previewed_tested_and_removed_on_the_command_line(
    database_url: str, tmp_path: Path
) -> None:
    async with mail_server() as server:

        async def type_(*arguments: str) -> Finished:
            return await run_command(*arguments, FAREGATE_DATABASE_URL=database_url, FAREGATE_SMTP_URL=server.url)

        events = tmp_path / "events.ndjson"
        fact = {"user_id": "ada", "service": "chat", "time": YESTERDAY, "credits": 5, "model": "gpt-4o"}
        events.write_bytes(exact_json.dumps(fact))
        assert (await type_("usage", "record", "--file", str(events))).code == 0
        told = await type_(
            "reports", "set", "team/day", "daily", "--to", "ops@example.com", "--to", "boss@example.com",
            "--feature", "chat", "--timezone", "Europe/Berlin", "--hour", "6", "--attach", "csv", "--attach", "xlsx",
        )  # fmt: skip
        await type_("reports", "set", "team/day", "daily", "--to", "ops@example.com", "--attach", "csv")
        wrong = await type_("reports", "set", "x", "daily", "--to", "nobody")
        (listed,) = exact_json.loads((await type_("reports", "list", "-o", "json")).out.encode())
        place = tmp_path / "preview"
        shown = await type_("reports", "preview", "team/day", "--day", f"{YESTERDAY:%Y-%m-%d}", "--save", str(place))
        tried = await type_("reports", "test", "team/day", "me@example.com")
        refused = await type_("reports", "test", "team/day", "me@refused.example")
        sent = exact_json.loads((await type_("reports", "send", "-o", "json")).out.encode())
        mails = exact_json.loads((await type_("reports", "deliveries", "team/day", "-o", "json")).out.encode())
        message_id = server.mails[0][1]["Message-ID"].strip()
        noted = await type_("reports", "bounce", message_id, "550 gone")
        resumed = await type_("reports", "resume", "team/day")
        one = exact_json.loads((await type_("reports", "show", "team/day", "-o", "json")).out.encode())
        checked = exact_json.loads((await type_("doctor", "-o", "json")).out.encode())
        without = await run_command("doctor", "-o", "json", FAREGATE_DATABASE_URL=database_url)
        removed = await type_("reports", "remove", "team/day")
        missing = await type_("reports", "show", "team/day")

    assert told.code == 0, told.err
    assert "team/day: daily to ops@example.com, boss@example.com, next on" in told.out
    assert wrong.code == 1
    assert "--to" in wrong.err or "recipients" in wrong.err
    assert (listed["name"], listed["recipients"]) == ("team/day", "ops@example.com")
    assert "Subject: Daily summary of all usage" in shown.out
    assert "5.00 credits" in shown.out
    assert sorted(path.name for path in place.iterdir()) == [
        "chart.png", f"daily-{YESTERDAY:%Y-%m-%d}.csv", "team_day.html", "team_day.txt",
    ]  # fmt: skip
    assert (tried.code, tried.out.strip()) == (0, "sent to me@example.com")
    assert (refused.code, refused.out.startswith("bounced: ")) == (1, True)
    assert sent == {"queued": 0, "sent": 0}
    assert {(mail["address"], mail["status"], mail["test"]) for mail in mails} == {
        ("me@example.com", "sent", True), ("me@refused.example", "bounced", True),
    }  # fmt: skip
    assert "team/day: bounced" in noted.out
    assert "is sent to ops@example.com" in resumed.out
    assert (one["kind"], one["files"], one["recipients"][0]["state"]) == ("daily", ["csv"], "active")
    assert next(each["detail"] for each in checked if each["name"] == "reports").startswith("1 active reports; no link")
    assert next(each["fix"] for each in exact_json.loads(without.out.encode()) if each["name"] == "reports") == (
        "set FAREGATE_SMTP_URL for the workers"
    )
    assert "is deleted" in removed.out
    assert "`faregate reports list`" in missing.err
