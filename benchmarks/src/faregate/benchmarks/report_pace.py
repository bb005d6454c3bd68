"""Weekly reports of many tenants, mailed to a real mail server."""

import random
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from typing import Any

from pydantic import SecretStr

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.reports.values import ReportFile, ReportKind, ReportScope, ReportSpec
from faregate.benchmarks.ground import Ground
from faregate.core.clock import SystemClock
from faregate.worker.container import WorkerContainer

__all__ = ["Sent", "mail_reports"]

_CLOCK = SystemClock()
_CHUNK = 20_000
_WEEK = timedelta(days=7)
_MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash")
_FEATURES = ("chat", "search", "summarise")
_USED = re.compile(r"^Credits used +([\d,.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sent:
    """How long it took, and what arrived.

    Attributes:
        mails, recipients: received mails, and different recipients.
        stated, recorded: the credits in all mails together, and those of the recorded uses.
    """

    seconds: float
    mails: int
    recipients: int
    kilobytes: float
    stated: Decimal
    recorded: Decimal


@dataclass
class _Post:
    """Receives mails; an `aiosmtpd` handler, which looks at all of its members: Python 3.11.2 cannot show those of slots."""

    recipients: list[str] = field(default_factory=list[str])
    mails: list[bytes] = field(default_factory=list[bytes])

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        self.recipients += envelope.rcpt_tos
        self.mails.append(envelope.content)
        return "250 OK"


async def mail_reports(ground: Ground, tenants: int, uses: int, *, attach: bool) -> Sent:
    """Record `uses` of each tenant in each of two weeks, and mail every tenant its weekly report, with a workbook if `attach`."""
    async with _mail_server() as (post, url):
        settings = ground.settings.model_copy(
            update={"smtp_url": SecretStr(url), "public_url": "https://credits.example"}
        )
        library = WorkerContainer(settings=settings)
        async with library.engines():
            week = library.report_service().latest(_spec(0, attach=attach))
            recorded = await _record(library, week, tenants, uses)
            await library.roller().run()
            for number in range(tenants):
                await library.report_service().put(_spec(number, attach=attach))
            await _make_due(library)
            began = _CLOCK.monotonic()
            await library.report_service().queue_due()
            await library.report_deliverer().send_due()
            seconds = _CLOCK.monotonic() - began
    texts = [_text(mail) for mail in post.mails]
    stated = sum((Decimal(_USED.findall(text)[0].replace(",", "")) for text in texts), Decimal(0))
    size = sum(map(len, post.mails)) / max(1, len(post.mails)) / 1024
    return Sent(seconds, len(post.mails), len(set(post.recipients)), size, stated, recorded)


def _spec(number: int, *, attach: bool) -> ReportSpec:
    return ReportSpec(
        f"tenant-{number}",
        ReportKind.WEEKLY,
        (f"owner@tenant-{number}.example",),
        ReportScope.ORGANIZATION,
        f"tenant-{number}",
        timezone=("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")[number % 4] if number else "UTC",
        files=(ReportFile.XLSX,) if attach else (),
    )


async def _record(library: WorkerContainer, week: TimeRange, tenants: int, uses: int) -> Decimal:
    """Record the uses, two days off the ends of the weeks so that every zone counts the same; return the later week's credits."""
    chance = random.Random(7)  # noqa: S311
    total, chunk = Decimal(0), list[dict[str, Any]]()
    for fact, counts in _facts(chance, week, tenants, uses):
        chunk.append(fact)
        total += fact.get("credits", 0) if counts else 0
        if len(chunk) >= _CHUNK:
            await library.recorder().record(chunk)
            chunk = []
    await library.recorder().record(chunk)
    return total


def _facts(chance: random.Random, week: TimeRange, tenants: int, uses: int) -> Iterator[tuple[dict[str, Any], bool]]:
    middle = week.start + timedelta(days=2)
    for tenant in range(tenants):
        for number in range(2 * uses):
            later = number % 2 == 0
            at = middle - (timedelta(0) if later else _WEEK) + timedelta(seconds=chance.randrange(3 * 86_400))
            key = f"{tenant}-{number}"
            common = {
                "user_id": f"member-{tenant}-{number % 9}", "organization_id": f"tenant-{tenant}", "service": "chat",
                "feature_key": chance.choice(_FEATURES), "usage_key": key, "time": at,
            }  # fmt: skip
            yield {**common, "id": f"{key}r", "kind": "request", "latency_ms": 900, "status": 200}, False
            credits = Decimal(chance.randrange(1, 500)) / 100
            yield {
                **common, "id": f"{key}l", "kind": "line", "model": chance.choice(_MODELS), "provider": "openai",
                "input_tokens": 100, "output_tokens": 20, "credits": credits, "cost_usd": credits / 200,
            }, later  # fmt: skip


async def _make_due(library: WorkerContainer) -> None:
    database = library.database()
    async with database.transaction() as session:
        await database.rows(session, "update faregate.report_subscription set next_at = now() - interval '1 second'")


def _text(mail: bytes) -> str:
    found: Any = message_from_bytes(mail, policy=default)
    return str(found.get_body(("plain",)).get_content())


@asynccontextmanager
async def _mail_server() -> AsyncGenerator[tuple[_Post, str]]:
    """Run a mail server in a thread of its own."""
    from aiosmtpd.controller import Controller

    from faregate.benchmarks.ports import free_port

    post, port = _Post(), free_port()
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield post, f"smtp://127.0.0.1:{port}"
    finally:
        server.stop()
