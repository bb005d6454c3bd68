"""`faregate logs`: feature logs by hand: find, show, delete, keep, archive, restore, rotate keys."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.options import Actor, Limit, Output, moment_of
from faregate.cli.shared.output import console, errors, print_json, print_table
from faregate.cli.shared.session import actor, with_library
from faregate.core.db.partitions import Month
from faregate.feature_log.values import FeatureLog, LogFilter

if TYPE_CHECKING:
    from faregate.core.archive.archives import Manifest
    from faregate.worker.container import WorkerContainer

__all__ = ["logs"]

logs = App(name="logs", help="Find feature logs, delete, archive and restore them, rotate their keys.")
retention = App(name="retention", help="How long features keep their logs.")
logs.command(retention)


@logs.command
@audited("feature-usage-logs.list_logs", apart=True)
def search(
    *,
    user: Annotated[str | None, Parameter(help="Of this user.")] = None,
    email: Annotated[str | None, Parameter(help="With this e-mail address.")] = None,
    feature: Annotated[str | None, Parameter(help="Of this feature, by key or id.")] = None,
    usage_key: Annotated[str | None, Parameter(help="Of this use.")] = None,
    status: Annotated[Literal["success", "failed"] | None, Parameter(help="Which ended so.")] = None,
    code: Annotated[int | None, Parameter(help="Answered with this HTTP status.")] = None,
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None, Parameter(help="Asked with this HTTP method.")
    ] = None,
    since: Annotated[str | None, Parameter(name="--from", help="From this moment on.")] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Before this moment.")] = None,
    text: Annotated[str | None, Parameter(help="In feature, endpoint, type or status.")] = None,
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List logs, newest first, without bodies."""
    wanted = LogFilter(
        user_id=user,
        user_email=email,
        feature=feature,
        usage_key=usage_key,
        status=status,
        code=code,
        method=method,
        since=moment_of(since, param="--from") if since else None,
        until=moment_of(until, param="--to") if until else None,
        text=text,
    )
    found = with_library(lambda lib: lib.logs().find(wanted, limit=limit)).logs
    if output == "json":
        print_json([_record(log) for log in found])
        return
    columns = ["id", "logged at", "user", "feature", "method", "endpoint", "code", "status", "ms"]
    rows = [
        (
            str(log.id),
            log.logged_at.isoformat(timespec="seconds"),
            log.user_id,
            log.feature.value,
            log.method,
            log.endpoint,
            str(log.code),
            log.status,
            log.duration_ms,
        )
        for log in found
    ]
    print_table(f"{len(found)} logs", columns, rows)


@logs.command
@audited("feature-usage-logs.get_log", target=("log_id",), apart=True)
def show(log_id: UUID) -> None:
    """Print one log with its redacted bodies, as JSON."""
    print_json(_record(with_library(lambda lib: lib.logs().get(log_id))))


@logs.command
@audited("feature-usage-logs.delete_many", target=("permanent",))
def delete(
    ids: Annotated[list[UUID], Parameter(help="Which logs.")],
    *,
    permanent: Annotated[bool, Parameter(help="Remove them for ever instead of hiding them.", negative="")] = False,
    by: Actor = None,
) -> int:
    """Hide logs, or remove them for ever; exit 1 if one was not there."""
    who = actor(by)

    async def work(lib: WorkerContainer) -> Sequence[UUID]:
        service = lib.logs()
        remove = service.delete if permanent else service.hide
        gone = await remove(ids, actor=who, noted=True)
        note(after=None, log_ids=[str(log_id) for log_id in gone])
        return gone

    gone = with_library(work)
    console.print(f"{len(gone)} of {len(ids)} logs {'removed' if permanent else 'hidden'}")
    return 0 if len(gone) == len(set(ids)) else 1


@retention.command(name="show")
def show_retention(*, output: Output = "table") -> None:
    """Show which features keep their logs for another time than the setting says."""
    days = with_library(lambda lib: lib.log_retention().days())
    if output == "json":
        print_json(dict(days))
        return
    print_table("Kept for other times than FAREGATE_LOG_RETENTION_DAYS", ["feature", "days"], sorted(days.items()))


@retention.command(name="set")
@audited("feature-usage-logs.set_retention", target=("feature", "days"))
def set_retention(feature: str, days: int) -> None:
    """Keep the logs of one feature for so many days; 0 goes back to the setting."""
    with_library(lambda lib: lib.log_retention().set_days(feature, days or None))
    console.print(f"{feature}: {f'{days} days' if days else 'as the setting says'}")


@logs.command
@audited("feature-usage-logs.archive", target=("month",), apart=True)
def archive(month: Annotated[str, Parameter(help="As 2026-01.")]) -> None:
    """Archive one month, read the archive back, and drop the month."""
    parsed = Month.parse(month)
    _tell("archived", [with_library(lambda lib: lib.log_retention().archive(parsed))])


@logs.command
@audited("feature-usage-logs.restore", target=("month",), apart=True)
def restore(month: Annotated[str, Parameter(help="As 2026-01.")]) -> None:
    """Bring an archived month back; it stays for 30 days."""
    parsed = Month.parse(month)
    _tell("restored", with_library(lambda lib: lib.log_retention().restore(parsed)))


@logs.command(name="rotate-keys")
@audited("feature-usage-logs.rotate_keys", apart=True)
def rotate_keys() -> None:
    """Seal all logs and secrets of webhooks under the first key of FAREGATE_LOG_KEYS; may run beside everything else, and
    be repeated.
    """

    def tell(done: int) -> None:
        if errors.is_terminal:
            errors.print(f"{done:,} sealed again", end="\r")

    done = with_library(lambda lib: lib.log_rotation().rotate(on_progress=tell))
    secrets_done = with_library(lambda lib: lib.database().run(lib.webhooks().reseal))
    console.print(
        f"{done:,} logs sealed again, secrets of {secrets_done:,} webhooks; keys behind the first one are no longer needed "
        "for what is in the database"
    )


@logs.command(name="new-key")
def new_key(name: Annotated[str, Parameter(help="Its id, e.g. the month.")]) -> None:
    """Make a key and print it as FAREGATE_LOG_KEYS wants it; put it before the others."""
    console.print(f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}", highlight=False, soft_wrap=True)


def _tell(done: str, manifests: Sequence[Manifest]) -> None:
    for manifest in manifests:
        console.print(
            f"{manifest.month}{manifest.part} {done}: {manifest.rows:,} logs, {manifest.bytes:,} bytes, "
            f"sha256 {manifest.sha256}",
            soft_wrap=True,
        )


def _record(log: FeatureLog) -> dict[str, Any]:
    return {
        "id": log.id,
        "logged_at": log.logged_at,
        "user_id": log.user_id,
        "user_email": log.user_email,
        "feature": log.feature.value,
        "usage_key": log.usage_key,
        "method": log.method,
        "endpoint": log.endpoint,
        "type": log.type,
        "code": log.code,
        "status": log.status,
        "duration_ms": log.duration_ms,
        **log.bodies,
    }
