"""Report of cluster trials as a page of evidence."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from faregate.core.clock import SystemClock
from faults.cluster.results import BACK_SECONDS, CONTROLS, Result, Window
from faults.fleet import FleetVerdict

__all__ = ["as_page"]

_PACKAGES = (
    "rabbitmq-server", "postgresql-15", "patroni", "etcd-server", "haproxy", "pgbouncer", "redis-server",
)  # fmt: skip
_PAGE = """# Clusters: a run

`make cluster` wrote this page. [Clusters that lose machines](cluster.md) says what is done and judged, and what was found;
[Many processes](many-processes.md) says it of the fleet.

{date}, code {code}; {cores} virtual cores, shared with other work (load {load}); seed {seed}. {debian}.

"""


def as_page(
    results: Sequence[Result], fleet: FleetVerdict | None, *, seed: int, code: str, failed: Sequence[str] = ()
) -> str:
    """Return the page; `code` names the revision, `failed` the parts that could not be run to their end."""
    load = " / ".join(f"{each:.0f}" for each in os.getloadavg())
    date = f"{SystemClock().now():%d %B %Y}".lstrip("0")
    page = _PAGE.format(date=date, code=code, cores=os.cpu_count(), load=load, seed=seed, debian=_debian())
    lines = [line for result in results for line in _section(result)]
    ended = [line for part in failed for line in (f"## {part}: NOT RUN TO ITS END", "")]
    return page + "\n".join([*lines, *(_fleet_section(fleet) if fleet is not None else []), *ended])


def _section(result: Result) -> list[str]:
    ways = list(result.windows[0].silences) if result.windows else []
    wrong = {kind: count for kind, count in result.verdict.faults.items() if count}
    return [
        f"## {result.name}: {_outcome(result)}",
        "",
        f"{result.seconds:.0f} s. In the second column, the longest time without a success, in seconds; what the machine stood still does not count.",
        "",
        f"| fault | {' / '.join(ways)} | longest wait of a message | late after mending | machine stood still | refused meanwhile |",
        "| --- | --- | ---: | ---: | ---: | --- |",
        *(_row(window) for window in result.windows),
        "",
        "| what | count |",
        "| --- | ---: |",
        *(f"| {what} | {count:,} |" for what, count in result.counts.items()),
        *(f"| **{kind}** | {count:,} |" for kind, count in (wrong or {"wrong": 0}).items()),
        "",
        *(f"- {kind}: `{text}`" for kind, texts in result.verdict.examples.items() for text in texts),
        "",
    ]


def _outcome(result: Result) -> str:
    if result.name in CONTROLS:
        return "a control that lost something, as it must" if result.passed else "A CONTROL THAT LOST NOTHING"
    late = sum(window.is_late for window in result.windows)
    return f"{'clean' if result.clean else 'NOT CLEAN'}{f', {late} LATE (over {BACK_SECONDS} s)' if late else ''}"


def _row(window: Window) -> str:
    silences = " / ".join(f"{seconds:.1f}" for seconds in window.silences.values())
    refusals = ", ".join(f"{count} x {what}" for what, count in sorted(window.refusals.items())) or "nothing"
    late = " **late**" if window.is_late else "" if window.fault.quorum else " (no quorum)"
    restarted = ", then restarted by hand" if window.restarted else ""
    return (
        f"| {window.fault.name}, {window.mended - window.began:.0f} s{restarted} | {silences}{late} | "
        f"{window.lag_seconds:.1f} s | {window.back_seconds:.1f} s | {window.stalled_seconds:.1f} s | {refusals} |"
    )


def _fleet_section(fleet: FleetVerdict) -> list[str]:
    return [
        f"## many processes: {'NOT CLEAN' if fleet.faults else 'clean'}",
        "",
        "| what | was |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in fleet.facts.items()),
        *(f"| **{name}** | {count} |" for name, count in fleet.faults.items()),
        "",
    ]


def _debian() -> str:
    installed = [f"/var/lib/dpkg/info/{name}.list" for name in _PACKAGES]
    names = [name for name, path in zip(_PACKAGES, installed, strict=True) if Path(path).exists()]
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *names], capture_output=True, check=False, text=True
    )
    return ", ".join(line for line in told.stdout.splitlines())
