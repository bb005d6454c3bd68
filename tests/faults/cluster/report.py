"""Report of cluster trials as Markdown."""

import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from faults.cluster.trial import Result, Window

__all__ = ["as_markdown"]

_PACKAGES = ("rabbitmq-server", "postgresql-15", "patroni", "etcd-server", "haproxy", "pgbouncer")


def as_markdown(results: Sequence[Result], *, seed: int) -> str:
    lines = [f"Seed {seed}. Faregate {version('faregate')}; Debian's {_debian()}.", ""]
    for result in results:
        lines += _section(result)
    return "\n".join(lines)


def _section(result: Result) -> list[str]:
    ways = list(result.windows[0].silences) if result.windows else []
    wrong = {kind: count for kind, count in result.verdict.faults.items() if count}
    return [
        f"## {result.name}: {'clean' if result.clean else 'NOT CLEAN'}",
        "",
        f"{len(result.windows)} faults in {result.seconds:.0f} s.",
        "",
        f"| fault | longest time without a success, in seconds: {' / '.join(ways)} | longest wait of a message | late after mending | refused meanwhile |",
        "| --- | --- | ---: | ---: | --- |",
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


def _row(window: Window) -> str:
    silences = " / ".join(f"{seconds:.1f}" for seconds in window.silences.values())
    refusals = ", ".join(f"{count} x {what}" for what, count in sorted(window.refusals.items())) or "nothing"
    return (
        f"| {window.fault.name}, {window.mended - window.began:.0f} s | {silences}{' **late**' if window.is_late else ''} | "
        f"{window.lag_seconds:.1f} s | {window.back_seconds:.1f} s | {refusals} |"
    )


def _debian() -> str:
    installed = [f"/var/lib/dpkg/info/{name}.list" for name in _PACKAGES]
    names = [name for name, path in zip(_PACKAGES, installed, strict=True) if Path(path).exists()]
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *names], capture_output=True, check=False, text=True
    )
    return ", ".join(line for line in told.stdout.splitlines())
