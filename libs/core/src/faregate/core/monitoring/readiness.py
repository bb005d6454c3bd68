"""Readiness checks of every process.

A check returns a detail to show, or raises an error that names the fix.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.migrate import current_revision, problem_at
from faregate.core.db.revisions import head_revision
from faregate.core.errors import FaregateError

__all__ = ["CheckResult", "check_all", "check_database", "check_migrations"]

Check = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    duration_ms: float
    detail: str


async def check_all(checks: Mapping[str, Check], clock: IClock) -> Sequence[CheckResult]:
    """Run all checks, one after the other."""
    return [await _checked(name, check, clock) for name, check in checks.items()]


async def check_database(database: Database) -> str:
    """Return the server's version, or raise `EngineUnavailableError`."""
    async with database.transaction(read_only=True) as session:
        ((found,),) = await database.rows(session, "show server_version")
    return f"PostgreSQL {found}"


async def check_migrations(database: Database) -> str:
    """Return the schema's revision, or raise if this code cannot use it."""
    revision, head = await current_revision(database), head_revision()
    problem = await problem_at(database, revision)
    if problem is not None:
        raise FaregateError(f"{problem.detail}; {problem.fix}")
    return f"revision {revision}" + ("" if revision == head else f", newer than this code, which is of {head}")


async def _checked(name: str, check: Check, clock: IClock) -> CheckResult:
    began = clock.monotonic()
    try:
        detail, ok = await check(), True
    except FaregateError as error:
        detail, ok = error.public_detail, False
    return CheckResult(name, ok, round((clock.monotonic() - began) * 1000, 2), detail)
