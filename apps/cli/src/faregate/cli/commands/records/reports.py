"""`faregate reports`: reports by mail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.analytics.reports.values import ReportFile, ReportKind, ReportScope, ReportStatus
from faregate.cli.shared.analytics_options import Shape, tell
from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_done, print_json
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.analytics.reports.values import ComposedReport, ReportDelivery, ReportSpec, ReportSubscription
    from faregate.worker.container import WorkerContainer

__all__ = ["reports"]

reports = App(name="reports", help="Mail daily, weekly and monthly reports; preview and test them.")

_Day = Annotated[str | None, Parameter(help="A day of the period; by default the latest report.")]
_MANY = 1000


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Contents:
    """Options that say what a report is about."""

    organization: Annotated[str | None, Parameter(help="Only this organisation.")] = None
    user: Annotated[str | None, Parameter(help="Only this user.")] = None
    service: Annotated[str | None, Parameter(help="Only this service.")] = None
    model: Annotated[str | None, Parameter(help="Only this model.")] = None
    provider: Annotated[str | None, Parameter(help="Only this provider.")] = None
    feature: Annotated[str | None, Parameter(help="Only this feature.")] = None
    country: Annotated[str | None, Parameter(help="Only this country.")] = None
    device: Annotated[str | None, Parameter(help="Only this kind of device.")] = None
    attach: Annotated[
        list[ReportFile] | None, Parameter(help="xlsx or csv (all figures), pdf (statement); can be repeated.")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Times:
    """Options that say when a report is sent."""

    timezone: Annotated[str, Parameter(help="Time zone of the days and of the hour.")] = "UTC"
    hour: Annotated[int, Parameter(help="Hour of sending, from 0 to 23.")] = 7
    weekday: Annotated[int, Parameter(help="Day of weekly reports, from 1 (Monday) to 7.")] = 1
    month_day: Annotated[int, Parameter(help="Day of monthly reports, from 1 to 28.")] = 1
    active: Annotated[bool, Parameter(help="Whether it is sent.")] = True


_CONTENTS, _TIMES = Contents(), Times()


@reports.command(name="set")
@audited("reports.put_report", target=("name",))
def set_report(
    name: str,
    kind: Annotated[ReportKind, Parameter(help="daily, weekly or monthly.")],
    *,
    to: Annotated[list[str], Parameter(help="A recipient; can be repeated.")],
    contents: Contents = _CONTENTS,
    times: Times = _TIMES,
    output: Output = "table",
) -> None:
    """Subscribe recipients to a report, or change it: `faregate reports set team weekly --to ops@example.com`."""
    spec = _spec(name, kind, to, contents, times)
    made = with_library(lambda lib: lib.report_service().put(spec))
    due = f", next on {made.next_at:%Y-%m-%d %H:%M} UTC" if made.next_at is not None else ", not active"
    print_done(f"{name}: {kind.value} to {', '.join(to)}{due}", _facts(made), output)


@reports.command(name="list")
def list_reports(*, output: Shape = "table") -> None:
    """List the reports, their recipients, and when each is sent next."""
    found = with_library(lambda lib: lib.report_service().list(limit=_MANY))
    columns = ["name", "kind", "about", "recipients", "timezone", "next"]
    tell(output, "Reports", columns, [_row(each) for each in found])


@reports.command
def show(name: str, *, output: Output = "table") -> None:
    """Show one report with the state of each recipient."""
    found = with_library(lambda lib: lib.report_service().get(name))
    if output == "json":
        print_json(_facts(found))
        return
    rows = [
        [each.address, each.state.value, f"{each.changed_at:%Y-%m-%d %H:%M}", each.last_error]
        for each in found.recipients
    ]
    tell("table", f"Recipients of {name}", ["address", "state", "since", "last bounce"], rows)


@reports.command
@audited("reports.delete_report", target=("name",))
def remove(name: str, *, output: Output = "table") -> None:
    """Delete a report, its recipients and the history of its mails."""

    async def work(lib: WorkerContainer) -> None:
        note(before=await lib.report_service().get(name), after=None)
        await lib.report_service().remove(name)

    with_library(work)
    print_done(f"{name} is deleted", {"name": name}, output)


@reports.command
@audited("reports.preview_report", target=("name",), apart=True)
def preview(
    name: str,
    *,
    day: _Day = None,
    save: Annotated[Path | None, Parameter(help="Directory for the mail as HTML, its images and files.")] = None,
    output: Output = "table",
) -> None:
    """Print a report as plain text, and save the mail with everything in it; nothing is sent."""
    period, report = with_library(lambda lib: lib.report_service().preview(name, day=_day(day)))
    saved = _save(name, report, save) if save is not None else []
    if output == "json":
        facts = {"subject": report.subject, "text": report.text, "from": period.start, "to": period.end}
        print_json({**facts, "saved": [str(path) for path in saved]})
        return
    console.print(f"Subject: {report.subject}\n\n{report.text}", highlight=False, markup=False, soft_wrap=True)
    for path in saved:
        console.print(f"saved {path}", highlight=False, markup=False, soft_wrap=True)


@reports.command(name="test")
@audited("reports.test_report", target=("name",), apart=True)
def send_test(name: str, address: str, *, output: Output = "table") -> int:
    """Mail the latest report to one address now, marked as a test; exit 1 if it was not accepted."""

    async def work(lib: WorkerContainer) -> ReportDelivery:
        queued = await lib.report_service().request_test(name, address)
        await lib.report_deliverer().send_one(queued.id)
        found = await lib.report_service().deliveries(name, limit=_MANY)
        return next(each for each in found if each.id == queued.id)

    found = with_library(work)
    sent = found.status is ReportStatus.SENT
    said = f"sent to {address}" if sent else f"{found.status.value}: {found.last_error}"
    print_done(said, {"id": found.id, "status": found.status, "error": found.last_error}, output)
    return 0 if sent else 1


@reports.command
def deliveries(name: str, *, limit: int = 100, output: Shape = "table") -> None:
    """List the mails of a report, the latest first."""
    found = with_library(lambda lib: lib.report_service().deliveries(name, limit=limit))
    columns = ["due at", "address", "from", "to", "status", "test", "attempts", "finished at", "error"]
    rows = [
        [
            f"{each.due_at:%Y-%m-%d %H:%M}",
            each.address,
            f"{each.period_start:%Y-%m-%d %H:%M}",
            f"{each.period_end:%Y-%m-%d %H:%M}",
            each.status.value,
            each.test,
            each.attempts,
            f"{each.finished_at:%Y-%m-%d %H:%M:%S}" if each.finished_at else None,
            each.last_error,
        ]
        for each in found
    ]
    tell(output, f"Mails of {name}", columns, rows)


@reports.command
def send(*, output: Output = "table") -> None:
    """Send the reports that are due now, as the worker does every few seconds."""

    async def work(lib: WorkerContainer) -> tuple[int, int]:
        return await lib.report_service().queue_due(), await lib.report_deliverer().send_due()

    queued, sent = with_library(work)
    print_done(f"{queued} mails queued, {sent} sent", {"queued": queued, "sent": sent}, output)


@reports.command
@audited("reports.resume_report", target=("name",))
def resume(
    name: str,
    *,
    address: Annotated[str | None, Parameter(help="Only this recipient.")] = None,
    output: Output = "table",
) -> None:
    """Mail recipients again whose mails bounced; those who unsubscribed are left alone."""
    found = with_library(lambda lib: lib.report_service().resume(name, address))
    active = [each.address for each in found.recipients if each.state.value == "active"]
    print_done(f"{name} is sent to {', '.join(active) or 'nobody'}", _facts(found), output)


@reports.command
@audited("reports.note_bounce")
def bounce(message_id: str, reason: str, *, output: Output = "table") -> None:
    """Record that a mail came back, by its header Message-ID; after three in a row the recipient is suspended."""
    found = with_library(lambda lib: lib.report_service().note_bounce(message_id, reason))
    print_done(f"{found.name}: {found.status.value}", {"report": found.name, "status": found.status}, output)


def _spec(name: str, kind: ReportKind, to: Sequence[str], contents: Contents, times: Times) -> ReportSpec:
    from faregate.analytics.question.filters import Filters
    from faregate.analytics.reports.values import FILTER_NAMES, ReportSpec

    if contents.organization is not None and contents.user is not None:
        raise InvalidError("give either organization or user", param="organization")
    owned = {ReportScope.ORGANIZATION: contents.organization, ReportScope.USER: contents.user}
    scope, owner = next(
        ((scope, owner) for scope, owner in owned.items() if owner is not None), (ReportScope.BUSINESS, None)
    )
    return ReportSpec(
        name=name,
        kind=kind,
        recipients=tuple(to),
        scope=scope,
        owner=owner,
        filters=Filters(**{each: getattr(contents, each) for each in FILTER_NAMES}),
        timezone=times.timezone,
        hour=times.hour,
        weekday=times.weekday,
        month_day=times.month_day,
        files=tuple(dict.fromkeys(contents.attach or ())),
        active=times.active,
    )


def _row(found: ReportSubscription) -> list[Any]:
    from faregate.analytics.reports.content.page import about

    spec = found.spec
    addresses = [
        each.address if each.state.value == "active" else f"{each.address} ({each.state.value})"
        for each in found.recipients
    ]
    due = f"{found.next_at:%Y-%m-%d %H:%M} UTC" if found.next_at else "not active"
    return [spec.name, spec.kind.value, about(spec), ", ".join(addresses), spec.timezone, due]


def _facts(found: ReportSubscription) -> dict[str, Any]:
    spec = found.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "scope": spec.scope,
        "owner": spec.owner,
        "filters": spec.filters.given,
        "timezone": spec.timezone,
        "hour": spec.hour,
        "weekday": spec.weekday,
        "month_day": spec.month_day,
        "recipients": [
            {"address": each.address, "state": each.state, "last_error": each.last_error} for each in found.recipients
        ],
        "files": list(spec.files),
        "active": spec.active,
        "next_at": found.next_at,
    }


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise InvalidError(f"day {text!r} is not a day; write it as 2026-01-31", param="day") from None


def _save(name: str, report: ComposedReport, directory: Path) -> list[Path]:
    from faregate.analytics.reports.content.browser import page_for_browser

    directory.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", name)  # names may hold what a path must not
    texts = {f"{stem}.html": page_for_browser(report).encode(), f"{stem}.txt": report.text.encode()}
    contents = {**texts, **{file.name: file.content for file in (*report.images, *report.files)}}
    for file, content in contents.items():
        (directory / file).write_bytes(content)
    return [directory / file for file in contents]
