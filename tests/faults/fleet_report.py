"""Report of a fleet campaign as a page of evidence."""

import platform
from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["fleet_report"]

_PAGE = """# Many processes

`make fleet` runs {gateways} gateways and {workers} workers behind a small balancer, with PostgreSQL as the queue and Redis for limits and kept
answers. The fleet begins with an older revision of the code on its own schema. While callers use it, the schema is migrated, every process is
replaced (a new one first, then SIGTERM), Redis is killed and comes back empty, a worker is killed within a scheduled job, and the schema is
made newer than the code while every process is replaced again. This page holds a run as it came out; run it again:
`make fleet ARGS='--report {page}'`.

## The run: {verdict}

| what | was |
| --- | --- |
{rows}

{date}, code {code}, {machine}; figures of a machine that other work shared. `tests/faults/test_fleet.py` is the short form.

## What is judged

* **No call fails.** Starts, settlements by HTTP and by the queue, wallets and dashboards, each with a status below 300. The balancer
  gives a call that got no byte of an answer to another gateway, as balancers do; all calls are safe to repeat.
* **Each use is charged once at its price**, no dead letter is left, and `verify` is clean.
* **A wallet shows its own uses at once**, whichever gateway answers, with Redis, without it, and after it.
* **Gateways share a rate limit.** With Redis the requests of one person that pass are about the limit, though {gateways} processes count;
  without it reads pass, as documented.
* **One scheduler at a time.** A trigger notes each claim of a job, and until when another worker held it: no claim falls into another
  worker's lease. The job of the killed worker is run again when its lease has ended.
* **A newer schema serves older processes** that it names. The older revision of this run is of a time before that rule: its gateways went on, but
  were not *ready* after the migration, and the balancer kept them since no other was left.

## What a run has found

The migration lost deadlocks against calls (`ALTER TABLE` waits for the locks of transactions that wait for it) and ended with an error. It
is one transaction, so that nothing was half done, and it is now tried again.
"""


def fleet_report(
    facts: Mapping[str, Any], *, clean: bool, gateways: int, workers: int, code: str, page: str, at: datetime
) -> str:
    """Return the page."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    machine = f"Python {platform.python_version()}, PostgreSQL 18 (embedded, fsync on), 2 virtual cores"
    return _PAGE.format(
        gateways=gateways,
        workers=workers,
        page=page,
        verdict="clean" if clean else "not clean",
        rows=rows,
        date=f"{at:%d %B %Y}".lstrip("0"),
        code=code,
        machine=machine,
    )
