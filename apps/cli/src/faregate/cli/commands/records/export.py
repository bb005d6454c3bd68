"""`faregate export`: files for FinOps tools and data lakes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Output, moment_of
from faregate.cli.shared.output import print_done, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.core.runtime.private_files import make_private_directory, private_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faregate.analytics.days.service import WrittenDay
    from faregate.analytics.focus.columns import FocusVersion
    from faregate.analytics.focus.values import FocusBatch
    from faregate.worker.container import WorkerContainer

__all__ = ["export"]

export = App(name="export", help="Write files for FinOps tools and data lakes.")

_Since = Annotated[str, Parameter(name="--from", help="Beginning, such as 2026-11-01; without an offset UTC.")]
_Spec = Annotated[str, Parameter(help="Version of FOCUS: 1.2 or 1.4.")]
_Until = Annotated[str, Parameter(name="--to", help="End, not included.")]


@export.command
@audited("analytics.focus", target=("since", "until"), apart=True)
def focus(
    directory: Annotated[Path, Parameter(help="Where the files are written.")],
    *,
    since: _Since,
    until: _Until,
    spec: _Spec = "1.2",
    rows: Annotated[int, Parameter(help="Highest number of rows of a file.")] = 10_000,
    output: Output = "table",
) -> None:
    """Write settled uses as CSV in FOCUS, in files that consumers take in one upload. Safe to repeat.

    All files are of one snapshot, and each row is validated. Files of an earlier export of the same range are replaced.
    """
    start, end = moment_of(since, param="since"), moment_of(until, param="until")
    version = _version(spec)

    async def work(lib: WorkerContainer) -> list[tuple[Path, int]]:
        make_private_directory(directory)
        made: list[tuple[Path, int]] = []
        async for batch in lib.focus().batches(start, end, version=version, most_rows=rows):
            made.append((_written(directory, _name(start, end, len(made) + 1), batch), batch.rows))
        return made

    made = with_library(work)
    for stale in set(directory.glob(_name(start, end, None))) - {path for path, _ in made}:
        stale.unlink()
    total = sum(count for _, count in made)
    facts = {"rows": total, "files": [{"file": str(path), "rows": count} for path, count in made]}
    print_done(f"{total:,} rows in {len(made)} files in {directory}", facts, output)


@export.command
@audited("analytics.days", target=("since", "until"), apart=True)
def days(
    *,
    since: Annotated[
        str | None, Parameter(name="--from", help="First day; by default the days that may still change.")
    ] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Day after the last one; today by default (UTC).")] = None,
    output: Output = "table",
) -> None:
    """Write a Parquet file for each view and day to FAREGATE_EXPORT_TO, where there is none or its rows have changed.

    The worker does so every night. Safe to repeat.
    """
    first = moment_of(since, param="since").date() if since else None
    last = moment_of(until, param="until").date() if until else None

    async def work(lib: WorkerContainer) -> Sequence[WrittenDay]:
        return await lib.day_export().run(since=first, until=last)

    made = with_library(work)
    if output == "json":
        print_json([{**asdict(each), "day": str(each.day)} for each in made])
        return
    rows = [(each.view, str(each.day), each.rows, each.bytes) for each in made]
    print_table(f"{len(made)} files written", ["view", "day", "rows", "bytes"], rows)


@export.command
def check(
    file: Annotated[Path, Parameter(help="A CSV in FOCUS, with a heading.")],
    *,
    spec: _Spec = "1.2",
    output: Output = "table",
) -> None:
    """Check a CSV against FOCUS: columns, types, nulls, allowed values, and that costs are price times quantity."""
    from faregate.analytics.focus.files import check_file

    rows = check_file(file.read_bytes(), _version(spec))
    print_done(f"{file}: {rows:,} rows are valid", {"file": str(file), "rows": rows}, output)


def _version(text: str) -> FocusVersion:
    from faregate.analytics.focus.columns import FocusVersion

    if text not in list(FocusVersion):
        raise InvalidError(f"spec {text!r} is none of {', '.join(FocusVersion)}", param="spec")
    return FocusVersion(text)


def _name(start: datetime, end: datetime, number: int | None) -> str:
    """Return the name of a file, or the pattern of all files of the range."""
    span = f"{start:%Y-%m-%dT%H%M}_{end:%Y-%m-%dT%H%M}".replace("T0000", "")
    return f"focus_{span}_{'????' if number is None else f'{number:04}'}.csv"


def _written(directory: Path, name: str, batch: FocusBatch) -> Path:
    """Write a file under another name, then give it its own, so that no reader sees a part of it."""
    target, unfinished = directory / name, directory / f"{name}.part"
    with private_file(unfinished) as file:
        file.write(batch.content)
    unfinished.replace(target)
    return target
