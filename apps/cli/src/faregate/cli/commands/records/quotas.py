"""`faregate quotas` and `faregate alerts`: quotas, their state and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter

from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import Alert, AlertFilter, QuotaSpec, QuotaStatus
from faregate.cli.shared.analytics_options import Shape, tell
from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.options import Output, decimal_of, moment_of
from faregate.cli.shared.output import errors, print_done, shows_pictures
from faregate.cli.shared.plots import share_bar
from faregate.cli.shared.session import with_library

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["alerts", "quotas"]

quotas = App(name="quotas", help="Set quotas, and show how much of them is used.")
alerts = App(name="alerts", help="Check quotas now, and list the alerts that were sent.")

_Owner = Annotated[str, Parameter(help="A user id, org:<id>, or * for all owners together.")]
_COLUMNS = ["id", "owner", "meter", "period", "used", "limit", "percent", "level", "runs out"]


@quotas.command(name="set")
@audited("quotas.put_quota", owner="owner", target=("meter", "period"))
def set_quota(
    owner: _Owner,
    meter: Annotated[str, Parameter(help="A meter such as api, or requests, tokens, credits, cost_usd.")],
    limit: str,
    *,
    period: QuotaPeriod = QuotaPeriod.MONTH,
    hard: Annotated[bool, Parameter(help="Refuse to start uses when the quota is used up.")] = False,
    timezone: str = "UTC",
    email: Annotated[
        list[str] | None, Parameter(help="Addresses that are mailed in addition to those of the settings.")
    ] = None,
    output: Output = "table",
) -> None:
    """Set the quota of an owner for a meter and a period; repeating it changes nothing."""
    amount = decimal_of(limit, param="limit")
    wanted = QuotaSpec(owner, meter, period, amount, hard=hard, timezone=timezone, emails=tuple(email or ()))
    made = with_library(lambda lib: lib.quota_service().put(wanted))
    sentence = f"{made.id}: {owner} may use {limit} {meter} per {period}{', hard' if hard else ''}"
    print_done(sentence, {"id": str(made.id), **asdict(made.spec)}, output)


@quotas.command
def status(owner: _Owner | None = None, *, output: Shape = "table") -> None:
    """Show how much of each quota is used, and when it will be used up at the present rate."""

    async def work(lib: WorkerContainer) -> list[QuotaStatus]:
        service = lib.quota_service()
        return [await service.status(quota.id) for quota in await service.quotas(owner_id=owner, limit=1000)]

    found = with_library(work)
    columns = list(_COLUMNS)
    rows = [_row(status) for status in found]
    if output == "table" and shows_pictures():
        columns.append("")
        rows = [[*row, share_bar(status.percent)] for row, status in zip(rows, found, strict=True)]
    tell(output, "Quotas", columns, rows)


@quotas.command(name="check")
def check_owner(
    owner: _Owner,
    meter: Annotated[str | None, Parameter(help="Only this meter, or requests, tokens, credits, cost_usd.")] = None,
    *,
    output: Shape = "table",
) -> int:
    """Show how much of one owner's quotas is used, for all meters or one; exit 1 if one is used up. Sends no alert."""
    found = with_library(lambda lib: lib.quota_service().check_owner(owner, meter))
    if not found:
        wanted = f" for {meter}" if meter else ""
        errors.print(f"{owner} has no quota{wanted}; set one: faregate quotas set {owner} {meter or 'api'} 1000")
    tell(output, f"Quotas of {owner}", _COLUMNS, [_row(status) for status in found])
    return 1 if any(status.level is Level.EXCEEDED for status in found) else 0


@quotas.command
@audited("quotas.delete_quota", target=("quota_id",))
def remove(quota_id: UUID, *, output: Output = "table") -> None:
    """Delete a quota and its alerts."""

    async def work(lib: WorkerContainer) -> None:
        service = lib.quota_service()
        note(before=await service.get(quota_id), after=None)
        await service.remove(quota_id)

    with_library(work)
    print_done(f"{quota_id} is deleted", {"deleted": str(quota_id)}, output)


@alerts.command
def check(*, output: Shape = "table") -> None:
    """Create the alerts that are due and deliver them by every channel of the settings; the log goes to stderr."""

    async def work(lib: WorkerContainer) -> list[Alert]:
        service = lib.quota_service()
        fired = {alert.id for alert in await service.check()}
        await lib.alert_deliverer().deliver_due()
        return [alert for alert in await service.alerts(AlertFilter(limit=1000)) if alert.id in fired]

    _tell(output, "Fired now", with_library(work))


@alerts.command(name="test")
def send_test(
    *,
    email: Annotated[
        list[str] | None, Parameter(help="Addresses that are mailed in addition to those of the settings.")
    ] = None,
    output: Shape = "table",
) -> int:
    """Send one alert marked as a test by every channel of the settings; exit 1 if a channel failed."""
    found = with_library(lambda lib: lib.alert_tester().run(emails=email or ()))
    tell(output, "Test alert", ["channel", "result"], [(one.channel, one.problem or "sent") for one in found])
    return 1 if any(one.problem for one in found) else 0


@alerts.command(name="list")
def list_alerts(
    *,
    owner: _Owner | None = None,
    meter: str | None = None,
    level: Level | None = None,
    since: Annotated[str | None, Parameter(name="--from", help="Only from this day or moment on.")] = None,
    limit: int = 100,
    output: Shape = "table",
) -> None:
    """List the alerts, the latest first, and how they were delivered."""
    wanted = AlertFilter(
        owner_id=owner,
        meter=meter,
        level=level,
        since=moment_of(since, param="from") if since else None,
        limit=limit,
    )
    _tell(output, "Alerts", with_library(lambda lib: lib.quota_service().alerts(wanted)))


def _row(status: QuotaStatus) -> list[object]:
    spec, expected = status.quota.spec, status.prediction
    return [
        str(status.quota.id),
        spec.owner_id,
        spec.meter,
        spec.period.value,
        status.used,
        spec.limit,
        status.percent,
        status.level.value if status.level else None,
        _when(expected.runs_out_at if expected else None),
    ]


def _when(moment: datetime | None) -> str | None:
    return f"{moment:%a %Y-%m-%d %H:%M} UTC" if moment else None


def _tell(output: Shape, title: str, found: Sequence[Alert]) -> None:
    columns = ["fired at", "level", "owner", "meter", "period", "used", "limit", "percent", "runs out", "delivered"]
    rows = [
        [
            f"{alert.fired_at:%Y-%m-%d %H:%M:%S}",
            alert.level.value,
            alert.owner_id,
            alert.meter,
            alert.period.value,
            alert.used,
            alert.limit,
            alert.percent,
            _when(alert.runs_out_at),
            "passed over" if alert.superseded else ", ".join(f"{d.channel}: {d.status}" for d in alert.deliveries),
        ]
        for alert in found
    ]
    tell(output, title, columns, rows)
