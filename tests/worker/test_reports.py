"""Reports by mail, from the subscription to the mailbox, with a real mail server."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openpyxl import load_workbook  # type: ignore[import-untyped]
from pypdf import PdfReader

from faregate.analytics.question.filters import Filters
from faregate.analytics.reports.delivering import DELAYS
from faregate.analytics.reports.repository import message_id_of
from faregate.analytics.reports.values import RecipientState, ReportFile, ReportKind, ReportScope
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.gateway.main import server_config
from faregate.wire.credits import to_micros
from support.apps import KEY, open_gateway, settings_for
from support.docs import Page
from support.mentions import mentions
from support.processes import command_path, start_command
from support.receivers import MailServer, mail_server
from support.reporting import MONDAY, WEEKLY, Office, fortnight, open_office
from support.servers import require_program
from support.serving import serving

PUBLIC_URL = "https://credits.ours.example"
SENDER = "Ours <billing@ours.example>"


@pytest.fixture
async def post() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def office(database_url: str, post: MailServer) -> AsyncIterator[Office]:
    async with open_office(database_url, post.url, public_url=PUBLIC_URL, mail_from=SENDER) as office:
        yield office


def parts_of(mail: EmailMessage) -> dict[str, Any]:
    return {part.get_content_type(): part for part in mail.walk()}


async def test_a_weekly_report_is_mailed_once_to_each_recipient(office: Office, post: MailServer) -> None:
    """With the numbers of its seven days, compared with the seven before."""
    await office.record(fortnight())
    await office.service.put(replace(WEEKLY, recipients=("ops@example.com", "boss@example.com")))

    sent = [await office.run(), await office.run(minutes=1), await office.run(hours=5), await office.run(days=6)]
    (first, mail), (second, _) = post.mails
    parts = parts_of(mail)
    text, html = parts["text/plain"].get_content(), parts["text/html"].get_content()

    assert sent == [0, 2, 0, 0]
    assert sorted([*first, *second]) == ["boss@example.com", "ops@example.com"]
    assert mail["From"] == SENDER
    assert mail["Date"] is not None
    assert mail["Subject"].strip() == (
        "Weekly analytics of all usage, 8 \u2013 14 Jun 2026: 140.00 credits, 7 requests (+100.0 % credits)"
    )
    assert ["Credits", "used", "140.00", "+100.0", "%"] in [line.split() for line in text.splitlines()]
    assert ">140.00<" in html
    assert parts["image/png"]["Content-ID"] == "<chart.png>"
    assert parts["image/png"].get_payload(decode=True)[:4] == b"\x89PNG"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip


async def test_a_report_counts_the_days_of_its_own_zone(office: Office) -> None:
    """23:30 in London is the next day in Kolkata."""
    evening = [{**fact, "time": fact["time"].replace(hour=22, minute=30)} for fact in fortnight()]
    await office.record(evening)
    for name, zone in (("london", "Europe/London"), ("kolkata", "Asia/Kolkata")):
        await office.service.put(replace(WEEKLY, name=name, timezone=zone))
    london = await office.service.file("london", ReportFile.CSV)
    kolkata = await office.service.file("kolkata", ReportFile.CSV)
    days = [[row["credits_used"] for row in _rows(file.content) if row["part"] == "day"] for file in (london, kolkata)]
    assert days == [["20.000000"] * 7, ["10.000000", *["20.000000"] * 6]]


async def test_each_file_is_attached_with_exact_amounts(office: Office, post: MailServer) -> None:
    await office.record(fortnight("@ada"))
    files = (ReportFile.XLSX, ReportFile.CSV, ReportFile.PDF)
    await office.service.put(replace(WEEKLY, files=files))
    await office.run(minutes=1)
    ((_, mail),) = post.mails
    attached: dict[Any, Any] = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    rows = {(row["part"], row["value"]): row for row in _rows(attached["weekly-2026-06-08.csv"])}
    sheet = load_workbook(io.BytesIO(attached["weekly-2026-06-08.xlsx"]))["rows"]
    printed = PdfReader(io.BytesIO(attached["statement-2026-06-08.pdf"])).pages[0].extract_text()

    assert list(attached) == ["weekly-2026-06-08.xlsx", "weekly-2026-06-08.csv", "statement-2026-06-08.pdf"]
    assert rows["total", ""]["credits_used"] == "140.000000"
    assert rows["period before", ""]["credits_used"] == "70.000000"
    assert rows["user", "'@ada"]["provider_cost_usd"] == "0.350000000000"
    assert sum(Decimal(row["credits_used"]) for (part, _), row in rows.items() if part == "day") == 140
    assert [cell.value for cell in sheet[2]][:3] == ["total", None, 7]
    assert "Closing balance" in printed


async def test_a_report_of_an_organisation_shows_its_members_and_no_cost(office: Office, post: MailServer) -> None:
    await office.record([*fortnight("ada", organization_id="acme"), *fortnight("bob")])
    await office.service.put(replace(WEEKLY, scope=ReportScope.ORGANIZATION, owner="acme"))
    await office.service.put(replace(WEEKLY, name="own", scope=ReportScope.USER, owner="bob", filters=Filters(service="chat")))  # fmt: skip
    await office.run(minutes=1)
    texts = {mail["Subject"].split(",")[0]: parts_of(mail)["text/plain"].get_content() for _, mail in post.mails}
    acme, bob = texts["Weekly analytics of organization acme"], texts["Weekly analytics of user bob"]

    assert "ada" in acme
    assert "bob" not in acme
    assert "USD" not in acme + bob
    assert not mentions(bob, "ada")
    assert "140.00" in acme
    assert "140.00" in bob


async def test_a_monthly_report_states_the_wallet(office: Office, post: MailServer) -> None:
    await office.service.put(replace(WEEKLY, kind=ReportKind.MONTHLY, scope=ReportScope.USER, owner="ada"))
    await office.run(days=20)
    ((_, mail),) = post.mails
    text = parts_of(mail)["text/plain"].get_content()

    assert mail["Subject"].strip().startswith("Monthly billing of user ada, June 2026")
    assert "There is no statement: the owner has no wallet." in text

    await office.container.wallets().grant("ada", GrantSpec(to_micros(Decimal("12.5")), GrantSource.PURCHASE))
    _, stated = await office.service.preview("team", day=SystemClock().now().date())
    statement = stated.text.partition("Statement of credits\n")[2].splitlines()
    assert [line.split() for line in statement[:4]] == [
        ["Opening", "balance", "0.000000"],
        ["Granted", "(purchase)", "12.500000"],
        ["Granted", "(promotion)", "0.000000"],
        ["Closing", "balance", "12.500000"],
    ]


async def test_every_mail_can_be_unsubscribed_in_one_click(office: Office, post: MailServer) -> None:
    """By the headers of RFC 8058; the link is the recipient's own, and in the text as well."""
    await office.service.put(replace(WEEKLY, recipients=("ops@example.com", "boss@example.com")))
    await office.run(minutes=1)
    links = {mail["List-Unsubscribe"].strip("<>") for _, mail in post.mails}
    (_, mail) = post.mails[0]
    token = UUID(mail["List-Unsubscribe"].strip("<>").rpartition("/")[2])

    assert len(links) == 2
    assert all(link.startswith(f"{PUBLIC_URL}/reports/unsubscribe/") for link in links)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].strip("<>") in parts_of(mail)["text/plain"].get_content()
    assert mail["List-Unsubscribe"].strip("<>") in parts_of(mail)["text/html"].get_content()

    await office.service.set_subscribed(token, subscribed=False)
    await office.service.put(replace(WEEKLY, recipients=("ops@example.com", "boss@example.com")))
    assert await office.run(days=7) == 1
    await office.service.set_subscribed(token, subscribed=True)
    assert await office.run(days=7) == 2


async def test_who_unsubscribes_gets_none_of_the_mails_that_wait(office: Office, post: MailServer) -> None:
    await office.service.put(WEEKLY)
    office.clock.advance(minutes=1)
    await office.service.queue_due()
    (recipient,) = (await office.service.get("team")).recipients
    await office.service.set_subscribed(recipient.token, subscribed=False)

    assert await office.deliverer.send_due() == 0
    assert await office.statuses() == ["cancelled"]
    assert post.mails == []


async def test_a_mail_that_the_server_cannot_take_now_is_tried_again(office: Office, post: MailServer) -> None:
    post.answers = ["451 4.3.0 try later", "452 4.2.2 mailbox full"]
    await office.service.put(WEEKLY)

    sent = [await office.run(minutes=1), await office.run(seconds=59), await office.run(seconds=1), await office.run(seconds=300)]  # fmt: skip
    ((_, mail),) = post.mails
    (delivery,) = await office.service.deliveries("team")

    assert sent == [0, 0, 0, 1]
    assert (delivery.status, delivery.attempts, delivery.last_error) == ("sent", 3, None)
    assert mail["Message-ID"] == f"<{message_id_of(delivery.id, 'ours.example')}>"


async def test_after_the_last_attempt_the_delivery_has_failed(office: Office, post: MailServer) -> None:
    post.answers = ["451 4.3.0 try later"] * 9
    await office.service.put(WEEKLY)
    await office.run(minutes=1)
    for delay in DELAYS:
        await office.run(seconds=delay.total_seconds())
    (delivery,) = await office.service.deliveries("team")

    assert (delivery.status, delivery.attempts) == ("failed", len(DELAYS) + 1)
    assert "451" in str(delivery.last_error)
    assert await office.run(days=2) == 0


async def test_three_bounces_in_a_row_suspend_a_recipient_and_nobody_else(office: Office, post: MailServer) -> None:
    await office.service.put(
        replace(WEEKLY, kind=ReportKind.DAILY, recipients=("ok@b.example", "gone@refused.example"))
    )
    sent = [await office.run(days=1) for _ in range(4)]
    states = {each.address: each for each in (await office.service.get("team")).recipients}

    assert sent == [1, 1, 1, 1]
    assert len(await office.service.deliveries("team")) == 7
    assert states["ok@b.example"].state is RecipientState.ACTIVE
    assert states["gone@refused.example"].state is RecipientState.SUSPENDED
    assert "550" in str(states["gone@refused.example"].last_error)

    await office.service.resume("team")
    assert await office.run(days=1) == 1
    again = {each.address: each.state for each in (await office.service.get("team")).recipients}
    assert again["gone@refused.example"] is RecipientState.ACTIVE
    assert len(post.mails) == 5


async def test_a_refusal_by_policy_is_no_bounce(office: Office, post: MailServer) -> None:
    """A server that does not know the sender would otherwise suspend every recipient."""
    post.answers = ["550 5.7.1 relaying denied"]
    await office.service.put(WEEKLY)

    assert [await office.run(minutes=1), await office.run(minutes=1)] == [0, 1]


async def test_a_mail_that_comes_back_later_counts_as_a_bounce(office: Office, post: MailServer) -> None:
    await office.service.put(replace(WEEKLY, kind=ReportKind.DAILY))
    for _ in range(3):
        await office.run(days=1)
        (_, mail) = post.mails[-1]
        for _ in range(2):  # the report of a bounce may come twice
            await office.service.note_bounce(mail["Message-ID"], "mailbox does not exist")
    (recipient,) = (await office.service.get("team")).recipients

    assert await office.statuses() == ["bounced"] * 3
    assert recipient.state is RecipientState.SUSPENDED


async def test_a_test_mail_is_marked_and_counts_for_nothing(office: Office, post: MailServer) -> None:
    await office.service.put(WEEKLY)
    queued = await office.service.request_test("team", "me@example.com")

    assert await office.deliverer.send_one(queued.id) is True
    assert await office.run(minutes=1) == 1
    (to, mail), (regular, _) = post.mails
    assert (to, regular) == (["me@example.com"], ["ops@example.com"])
    assert mail["Subject"].startswith("Test: Weekly analytics")
    assert mail["List-Unsubscribe"].startswith("<mailto:billing@ours.example")
    assert mail["List-Unsubscribe-Post"] is None


async def test_several_workers_send_each_mail_once(office: Office, post: MailServer) -> None:
    for number in range(20):
        await office.service.put(replace(WEEKLY, name=f"r{number}", recipients=(f"a{number}@b.example",)))
    office.clock.advance(minutes=1)
    queued = await asyncio.gather(*(office.service.queue_due() for _ in range(4)))
    sent = await asyncio.gather(*(office.deliverer.send_due() for _ in range(4)))

    assert (sum(queued), sum(sent)) == (20, 20)
    assert sorted(to for recipients, _ in post.mails for to in recipients) == sorted(f"a{n}@b.example" for n in range(20))  # fmt: skip


async def test_a_change_at_the_last_moment_loses_no_report(office: Office, post: MailServer) -> None:
    """Between the time at which a report is due and that at which a worker queues it. Another hour is another schedule."""
    await office.service.put(WEEKLY)
    office.clock.advance(minutes=1)
    await office.service.put(replace(WEEKLY, recipients=("new@example.com",)))

    assert await office.run() == 1
    assert post.mails[0][0] == ["new@example.com"]

    changed = await office.service.put(replace(WEEKLY, hour=9))
    assert changed.next_at == MONDAY.replace(hour=9, minute=0)


async def test_after_a_standstill_only_the_latest_report_is_sent(office: Office, post: MailServer) -> None:
    await office.service.put(replace(WEEKLY, kind=ReportKind.DAILY))

    assert await office.run(days=10) == 1
    assert "23 Jun 2026" in post.mails[0][1]["Subject"]
    assert await office.run(days=1) == 1


async def test_a_report_that_cannot_be_composed_stops_no_other(
    office: Office, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faregate.analytics.reports.documents import statement_pdf

    def broken(_data: str) -> bytes:
        raise RuntimeError("no paper")

    monkeypatch.setattr(statement_pdf, "_compiled", broken)
    await office.service.put(replace(WEEKLY, files=(ReportFile.PDF,)))
    await office.service.put(replace(WEEKLY, name="other"))

    assert await office.run(minutes=1) == 1
    (delivery,) = await office.service.deliveries("team")
    assert (delivery.status, delivery.last_error) == ("pending", "RuntimeError: no paper")


async def test_an_inactive_report_is_not_sent_and_old_deliveries_are_forgotten(office: Office) -> None:
    await office.service.put(WEEKLY)
    await office.run(minutes=1)
    await office.service.put(replace(WEEKLY, active=False))

    assert await office.run(days=30) == 0
    await office.service.forget()
    assert await office.statuses() == ["sent"]
    office.clock.advance(days=400)
    await office.service.forget()
    assert await office.statuses() == []


async def test_reports_are_sent_once_through_kills_of_the_worker(
    database_url: str, database: Database, post: MailServer
) -> None:
    """Killed before the server accepted a mail, and after it. A mail that was accepted but not recorded is sent again under the
    same Message-ID, so that it can be recognised; every other mail arrives once.
    """
    async with open_office(database_url) as office:
        for number in range(12):
            await office.service.put(replace(WEEKLY, name=f"r{number}", recipients=(f"a{number}@b.example",)))
    await _make_due(database)
    for deadly in ("before", "after"):
        worker = await start_command("worker", FAREGATE_DATABASE_URL=database_url, FAREGATE_SMTP_URL=post.url)
        post.strike(worker.kill, deadly, after=3)
        await worker.wait()
        await _end_leases(database)
    worker = await start_command("worker", FAREGATE_DATABASE_URL=database_url, FAREGATE_SMTP_URL=post.url)
    async with asyncio.timeout(60):
        while await _waiting(database):
            await asyncio.sleep(0.05)
    worker.terminate()
    await worker.wait()

    accepted: dict[str, set[str]] = {}
    for recipients, mail in post.mails:
        accepted.setdefault(recipients[0], set()).add(mail["Message-ID"])
    assert sorted(accepted) == sorted(f"a{number}@b.example" for number in range(12))
    assert all(len(ids) == 1 for ids in accepted.values())
    assert 12 <= len(post.mails) <= 12 + 2 * 4  # at most those of the connections that were open at each kill


async def test_the_page_about_reports_does_what_it_says(database_url: str, post: MailServer, tmp_path: Path) -> None:
    require_program("curl", package="curl")
    page = Page.of("docs/howto/mail-reports.md")
    settings = settings_for(database_url, port=0)
    async with open_gateway(settings) as gateway, serving(server_config(gateway.app, settings)) as url:
        printed = await asyncio.to_thread(
            page.joined("bash").run,
            cwd=tmp_path,
            timeout=300,
            PATH=command_path(),
            URL=url,
            KEY=KEY,
            FAREGATE_DATABASE_URL=database_url,
            FAREGATE_SMTP_URL=post.url,
        )
        listed = (await gateway.get("/api/reports")).data

    assert [each["name"] for each in listed] == ["acme-billing", "chat", "team"]
    assert "team.html" in printed
    assert "weekly-2026-06-08.xlsx" in printed
    assert [recipients for recipients, _ in post.mails] == [["me@example.com"]]
    assert "no report was mailed as" in printed


async def _make_due(database: Database) -> None:
    async with database.transaction() as session:
        await database.rows(session, "update faregate.report_subscription set next_at = now() - interval '1 s'")


async def _end_leases(database: Database) -> None:
    async with database.transaction() as session:
        await database.rows(session, "update faregate.report_delivery set next_at = now() where status = 'pending'")


async def _waiting(database: Database) -> int:
    async with database.transaction() as session:
        rows = await database.rows(
            session,
            "select (select count(*) from faregate.report_delivery where status <> 'sent') + "
            "(select 12 - count(*) from faregate.report_delivery) as waiting",
        )
    return int(rows[0].waiting)


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))
