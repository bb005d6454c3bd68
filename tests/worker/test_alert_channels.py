"""Alert channels: log, file, e-mail, signed webhook, chat."""

import asyncio
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from faregate.analytics.quotas.errors import DeliveryError
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.log_channel import FileChannel, LogChannel
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.trying import AlertTester
from faregate.analytics.quotas.values import Alert, AlertFilter
from faregate.analytics.quotas.wording import headline, sentence, subject
from faregate.core.clock import FixedClock, SystemClock
from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, EngineUnavailableError, InvalidError
from faregate.core.logging import configure_logging
from faregate.core.settings import Settings, load_settings
from faregate.core.webhooks import signing
from faregate.wire import exact_json
from faregate.worker.channels.email import EmailChannel
from faregate.worker.channels.factory import make_channels
from faregate.worker.channels.webhook import SlackChannel, WebhookChannel
from faregate.worker.mail import Attachment, Mail, Mailer
from support.quotas import NOON, make_quotas, spec
from support.receivers import Receiver, http_receiver, mail_server

SECRET = signing.new_secret()
ALERT = Alert(
    id=UUID("0190163d-8694-739b-aea5-966c26f8ad91"),
    quota_id=UUID("0190163d-8694-739b-aea5-966c26f8ad90"),
    owner_id="org:acme",
    meter="api",
    period=QuotaPeriod.MONTH,
    period_start=datetime(2026, 5, 1, tzinfo=UTC),
    period_end=datetime(2026, 6, 1, tzinfo=UTC),
    level=Level.CRITICAL,
    percent=Decimal("92.5"),
    used=Decimal("9250.000001"),
    limit=Decimal(10_000),
    hard=True,
    superseded=False,
    runs_out_at=datetime(2026, 5, 21, 9, tzinfo=UTC),
    emails=("owner@acme.example",),
    fired_at=NOON,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


def test_an_alert_names_owner_use_and_consequences() -> None:
    assert sentence(ALERT) == (
        "CRITICAL: org:acme has used 9,250.000001 of 10,000 api this month (92.5 %). "
        "At this rate it runs out on Thursday, 21 May 2026, 09:00 UTC. The month ends on Monday, 01 June 2026, 00:00 UTC."
    )


def test_a_prediction_has_its_time_and_a_mail_subject_its_day() -> None:
    """With the time zone."""
    predicted = replace(ALERT, level=Level.PREDICTED)

    assert headline(predicted).endswith("this month (92.5 %); at this rate it runs out on 2026-05-21 09:00 UTC")
    assert sentence(predicted).count("At this rate") + sentence(predicted).count("at this rate") == 1
    assert subject(ALERT) == f"{headline(ALERT)} [{NOON:%Y-%m-%d}]"


async def test_a_test_alert_is_sent_by_every_channel_marked_and_without_numbers(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Each channel reports its own result; the history stays empty."""
    path, clock = tmp_path / "alerts.log", FixedClock(NOON)
    async with mail_server() as server:
        mailer = Mailer(server.url, "fg@ours.example")
        broken = WebhookChannel("http://127.0.0.1:9/", SECRET, clock)
        channels: list[IAlertChannel] = [
            FileChannel(path),
            EmailChannel(mailer, []),
            SlackChannel(receiver.url),
            broken,
        ]
        found = {one.channel: one.problem for one in await AlertTester(channels, clock).run()}
        mailed = await AlertTester([EmailChannel(mailer, [])], clock).run(emails=["ops@ours.example"])
    line = exact_json.loads(path.read_bytes())
    ((_, mail),) = server.mails

    assert (found["file"], found["slack"], mailed[0].problem) == (None, None, None)
    assert "FAREGATE_ALERT_EMAILS" in str(found["email"])
    assert "does not answer" in str(found["webhook"])
    assert line["data"]["test"] is True
    assert all(str(text).startswith("TEST: ") for text in (line["message"], mail["Subject"].strip()))
    assert (line["data"]["used"], line["data"]["limit"], line["data"]["owner_id"]) == (0, 0, "*")


@pytest.mark.parametrize(("hard", "said"), [(True, "New uses are refused"), (False, "Nothing is refused")])
def test_an_exceeded_quota_says_whether_uses_are_refused(hard: bool, said: str) -> None:
    assert said in sentence(replace(ALERT, level=Level.EXCEEDED, hard=hard))


async def test_the_log_on_stderr_shows_an_alert_in_capitals() -> None:
    """`faregate alerts check 2>&1 | grep EXCEEDED` works."""
    stream = io.StringIO()
    configure_logging(style="json", stream=stream)
    await LogChannel().deliver(replace(ALERT, level=Level.EXCEEDED))
    configure_logging()

    line = exact_json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["owner"]) == ("quota_alert", "error", "org:acme")
    assert line["message"].startswith("EXCEEDED: org:acme has used")


async def test_the_file_has_one_exact_line_per_alert_with_concurrent_writers(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "alerts.log"
    await asyncio.gather(*(FileChannel(path).deliver(ALERT) for _ in range(20)))

    lines = [exact_json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == 20
    assert {(line["data"]["used"], line["data"]["level"]) for line in lines} == {(Decimal("9250.000001"), "critical")}


async def test_a_file_that_cannot_be_written_is_tried_again_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="cannot be written"):
        await FileChannel(tmp_path).deliver(ALERT)


async def test_an_alert_is_mailed_to_the_deployment_and_to_the_owner() -> None:
    async with mail_server() as server:
        await EmailChannel(Mailer(server.url, "Faregate <fg@ours.example>"), ["ops@ours.example"]).deliver(ALERT)

    ((recipients, mail),) = server.mails
    assert sorted(recipients) == ["ops@ours.example", "owner@acme.example"]
    assert mail["Subject"].strip().startswith("CRITICAL: org:acme has used 9,250.000001 of 10,000 api")
    assert mail["From"] == "Faregate <fg@ours.example>"
    assert "Thursday, 21 May 2026" in mail.get_content()


async def test_without_recipients_nothing_is_mailed() -> None:
    """No server is called: nothing listens on this address."""
    await EmailChannel(Mailer("smtp://127.0.0.1:1", "fg@ours.example"), []).deliver(replace(ALERT, emails=()))


async def test_a_mail_carries_text_html_and_attachments_beyond_ascii() -> None:
    report = Attachment("Zürich 2026-05.csv", "text/csv", "ä;1,5\n".encode())
    async with mail_server() as server:
        mailer = Mailer(server.url, "fg@ours.example")
        await mailer.send(Mail(["a@b.example"], "Grüße", "Hallo ä", "<b>Hallo ä</b>", [report]))

    ((_, mail),) = server.mails
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert mail["Subject"] == "Grüße"
    assert "Hallo ä" in parts["text/plain"].get_content()
    assert "<b>Hallo ä</b>" in parts["text/html"].get_content()
    assert parts["text/csv"].get_filename() == "Zürich 2026-05.csv"
    assert parts["text/csv"].get_payload(decode=True) == "ä;1,5\n".encode()


async def test_a_mail_server_with_a_login_gets_user_and_password() -> None:
    async with mail_server(login=("user@x", "p/ss word")) as server:
        address = server.url.removeprefix("smtp://")
        await Mailer(f"smtp://user%40x:p%2Fss%20word@{address}", "a@b.example").send(Mail(["c@d.example"], "s", "t"))
        with pytest.raises(EngineUnavailableError):
            await Mailer(f"smtp://user%40x:wrong@{address}", "a@b.example").send(Mail(["c@d.example"], "s", "t"))

    assert len(server.mails) == 1


async def test_a_refused_recipient_is_a_failure() -> None:
    async with mail_server() as server:
        with pytest.raises(EngineUnavailableError, match=r"x@refused\.example"):
            await Mailer(server.url, "a@b.example").send(Mail(["ok@b.example", "x@refused.example"], "s", "t"))


async def test_required_encryption_is_never_given_up_silently() -> None:
    async with mail_server() as server:
        with pytest.raises(EngineUnavailableError):
            await Mailer(server.url + "?starttls=required", "a@b.example").send(Mail(["c@d.example"], "s", "t"))

    assert server.mails == []


@pytest.mark.parametrize("subject", ["one\nBcc: thief@x.example", "one\rtwo"])
async def test_headers_cannot_be_injected(subject: str) -> None:
    with pytest.raises(InvalidError):
        await Mailer("smtp://127.0.0.1:1", "a@b.example").send(Mail(["c@d.example"], subject, "t"))


@pytest.mark.parametrize("url", ["http://mail.example.com", "smtp://", "smtp://h?starttls=maybe"])
def test_an_invalid_mail_server_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="FAREGATE_SMTP_URL"):
        Mailer(url, "a@b.example")


async def test_a_webhook_is_signed_exact_and_named_by_the_alert(receiver: Receiver) -> None:
    await WebhookChannel(receiver.url + "/hook", SECRET, FixedClock(NOON)).deliver(ALERT)

    (post,) = receiver.posts
    signing.verify(SECRET, headers=post.headers, body=post.body, now=NOON)
    body = exact_json.loads(post.body)
    assert (post.path, post.headers["webhook-id"]) == ("/hook", f"alert_{ALERT.id}")
    assert body["type"] == "usage.alert"
    assert body["data"]["used"] == Decimal("9250.000001")
    assert b"9250.000001" in post.body


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_only_a_2xx_counts_as_delivered_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(DeliveryError, match=str(status)):
        await WebhookChannel(receiver.url, SECRET, SystemClock()).deliver(ALERT)

    assert len(receiver.posts) == 1


async def test_an_unavailable_receiver_is_a_delivery_error() -> None:
    with pytest.raises(DeliveryError, match="does not answer"):
        await SlackChannel("http://127.0.0.1:1/x").deliver(ALERT)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "http://[::ffff:168.63.129.16]/", "http://192.0.0.192/"]
)
async def test_an_alert_is_never_posted_to_the_metadata_service_of_a_cloud(url: str) -> None:
    with pytest.raises(DeliveryError, match="metadata"):
        await SlackChannel(url).deliver(ALERT)


async def test_a_proxy_in_the_environment_gets_no_alert(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the checked address, so that no proxy resolves the name again."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    await SlackChannel(receiver.url).deliver(ALERT)

    assert len(receiver.posts) == 1


async def test_a_chat_gets_one_line_without_links_or_mentions(receiver: Receiver) -> None:
    await SlackChannel(receiver.url).deliver(replace(ALERT, owner_id="<!channel>"))

    (post,) = receiver.posts
    body = exact_json.loads(post.body)
    assert list(body) == ["text"]
    assert body["text"].startswith(":large_orange_circle: CRITICAL: &lt;!channel&gt; has used")


def test_channels_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings(
        alert_log_file=tmp_path / "a.log",
        smtp_url="smtp://mail.example.com",
        alert_emails="a@b.example, c@d.example",
        alert_webhook_url="https://x.example/hook",
        alert_webhook_secret=SECRET,
        alert_slack_url="https://y.example/hook",
    )

    assert [channel.name for channel in make_channels(settings, SystemClock())] == [
        "log", "file", "email", "webhook", "slack",
    ]  # fmt: skip
    assert [channel.name for channel in make_channels(Settings(), SystemClock())] == ["log"]


@pytest.mark.parametrize(
    "half",
    [
        {"alert_emails": "a@b.example"},
        {"alert_webhook_url": "https://x.example"},
        {"alert_webhook_url": "https://x.example", "alert_webhook_secret": "whsec_short"},
        {"smtp_url": "nonsense"},
    ],
)
def test_an_incompletely_configured_channel_is_refused_at_start(half: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, InvalidError), match=r"FAREGATE_(SMTP_URL|ALERT_WEBHOOK_SECRET)"):
        make_channels(load_settings(**half), SystemClock())


async def test_one_alert_reaches_all_channels_through_the_history(
    database: Database, receiver: Receiver, tmp_path: Path
) -> None:
    """From the use to the mailbox, with the settings of a deployment."""
    async with mail_server() as server:
        settings = load_settings(
            alert_log_file=tmp_path / "alerts.log",
            smtp_url=server.url,
            alert_emails="ops@ours.example",
            alert_webhook_url=receiver.url + "/program",
            alert_webhook_secret=SECRET,
            alert_slack_url=receiver.url + "/room",
        )
        quotas = make_quotas(database, make_channels(settings, SystemClock()))
        await quotas.service.put(spec(100, emails=("owner@acme.example",)))
        quotas.ledger.use(NOON.replace(day=1), 80)
        await quotas.service.check()
        assert await quotas.deliverer.deliver_due() == 5
        assert await quotas.deliverer.deliver_due() == 0

    (alert,) = await quotas.service.alerts(AlertFilter())
    assert {delivery.status for delivery in alert.deliveries} == {"delivered"}
    assert {post.path for post in receiver.posts} == {"/program", "/room"}
    assert len(server.mails) == len((tmp_path / "alerts.log").read_bytes().splitlines()) == 1
