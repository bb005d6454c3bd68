"""`faregate logs`: feature logs, their retention, archives and keys."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.options import Actor, Limit, Output, moment_of
from faregate.cli.shared.output import Format, console, errors, print_done, print_facts, print_json, print_table
from faregate.cli.shared.session import actor, with_library
from faregate.core.db.partitions import Month
from faregate.feature_log.values import FeatureLog, LogFilter

if TYPE_CHECKING:
    from faregate.core.archive.archives import Manifest
    from faregate.worker.container import WorkerContainer

__all__ = ["logs"]

logs = App(name="logs", help="Search, delete, archive and restore feature logs, and rotate their keys.")
retention = App(name="retention", help="Set how long features keep their logs.")
logs.command(retention)


@logs.command
@audited("feature-usage-logs.list_logs", apart=True)
def search(
    *,
    user: Annotated[str | None, Parameter(help="Only logs of this user.")] = None,
    email: Annotated[str | None, Parameter(help="Only logs with this e-mail address.")] = None,
    feature: Annotated[str | None, Parameter(help="Only logs of this feature, by key or id.")] = None,
    usage_key: Annotated[str | None, Parameter(help="Only logs of this use.")] = None,
    status: Annotated[Literal["success", "failed"] | None, Parameter(help="Only logs with this status.")] = None,
    code: Annotated[int | None, Parameter(help="Only requests answered with this HTTP status.")] = None,
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None, Parameter(help="Only requests with this HTTP method.")
    ] = None,
    since: Annotated[str | None, Parameter(name="--from", help="Only logs from this moment on.")] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Only logs before this moment.")] = None,
    text: Annotated[str | None, Parameter(help="Text to find in feature, endpoint, type or status.")] = None,
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


_Month = Annotated[str, Parameter(help="Month, such as 2026-01.")]


@logs.command
@audited("feature-usage-logs.get_log", target=("log_id",), apart=True)
def show(log_id: UUID, *, output: Output = "json") -> None:
    """Print one log with its redacted bodies."""
    print_facts(f"Log {log_id}", _record(with_library(lambda lib: lib.logs().get(log_id))), output)


@logs.command
@audited("feature-usage-logs.delete_many", target=("permanent",))
def delete(
    ids: Annotated[list[UUID], Parameter(help="Ids of the logs.")],
    *,
    permanent: Annotated[
        bool, Parameter(help="Delete the logs permanently instead of hiding them.", negative="")
    ] = False,
    by: Actor = None,
    output: Output = "table",
) -> int:
    """Hide logs, or delete them permanently; exit 1 if one does not exist."""
    who = actor(by)

    async def work(lib: WorkerContainer) -> Sequence[UUID]:
        service = lib.logs()
        remove = service.delete if permanent else service.hide
        removed = await remove(ids, actor=who, noted=True)
        note(after=None, log_ids=[str(log_id) for log_id in removed])
        return removed

    removed = with_library(work)
    done = "removed" if permanent else "hidden"
    print_done(f"{len(removed)} of {len(ids)} logs {done}", {done: [str(log_id) for log_id in removed]}, output)
    return 0 if len(removed) == len(set(ids)) else 1


@retention.command(name="show")
def show_retention(*, output: Output = "table") -> None:
    """Show the features whose logs are kept for another time than the setting says."""
    days = with_library(lambda lib: lib.log_retention().days())
    if output == "json":
        print_json(dict(days))
        return
    print_table("Kept for other times than FAREGATE_LOG_RETENTION_DAYS", ["feature", "days"], sorted(days.items()))


@retention.command(name="set")
@audited("feature-usage-logs.set_retention", target=("feature", "days"))
def set_retention(feature: str, days: int, *, output: Output = "table") -> None:
    """Set the days for which the logs of a feature are kept; 0 restores the setting."""
    with_library(lambda lib: lib.log_retention().set_days(feature, days or None))
    kept = f"{days} days" if days else "as the setting says"
    print_done(f"{feature}: {kept}", {"feature": feature, "days": days or None}, output)


@logs.command
@audited("feature-usage-logs.archive", target=("month",), apart=True)
def archive(month: _Month, *, output: Output = "table") -> None:
    """Archive one month, verify the archive by reading it back, and drop the month from the database."""
    parsed = Month.parse(month)
    _tell("archived", [with_library(lambda lib: lib.log_retention().archive(parsed))], output)


@logs.command
@audited("feature-usage-logs.restore", target=("month",), apart=True)
def restore(month: _Month, *, output: Output = "table") -> None:
    """Restore an archived month; it stays in the database for 30 days."""
    parsed = Month.parse(month)
    _tell("restored", with_library(lambda lib: lib.log_retention().restore(parsed)), output)


@logs.command(name="rotate-keys")
@audited("feature-usage-logs.rotate_keys", apart=True)
def rotate_keys(*, output: Output = "table") -> None:
    """Encrypt all logs and webhook secrets with the first key of FAREGATE_LOG_KEYS; may run beside the servers, and be
    repeated.
    """

    def tell(done: int) -> None:
        if errors.is_terminal:
            errors.print(f"{done:,} sealed again", end="\r")

    done = with_library(lambda lib: lib.log_rotation().rotate(on_progress=tell))
    secrets_done = with_library(lambda lib: lib.database().run(lib.webhooks().reseal))
    sentence = (
        f"{done:,} logs sealed again, and the secrets of {secrets_done:,} webhooks; keys after the first one are no longer needed "
        "for the data in the database"
    )
    print_done(sentence, {"logs": done, "webhooks": secrets_done}, output)


@logs.command(name="new-key")
def new_key(
    name: Annotated[str, Parameter(help="The key's id, such as the month.")], *, output: Output = "table"
) -> None:
    """Create a key and print it as an entry of FAREGATE_LOG_KEYS; put it before the others."""
    entry = f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    print_done(entry, {"key": entry}, output)


def _tell(done: str, manifests: Sequence[Manifest], output: Format) -> None:
    if output == "json":
        print_json([asdict(manifest) for manifest in manifests])
        return
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
