"""Libraries on the configured database, for commands without a gateway."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from faregate.cli.shared.auditing import in_audit
from faregate.cli.shared.deployment import existing_deployment
from faregate.core.db.subjects import person_of
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["actor", "with_library"]

T = TypeVar("T")


def with_library(work: Callable[[WorkerContainer], Awaitable[T]]) -> T:
    """Run `work` with the libraries, on the database and the queue that the settings name, and return its result.

    Writes the audit entry of a command that is `audited`.
    """
    from faregate.worker.container import WorkerContainer

    settings = existing_deployment()

    async def run() -> T:
        container = WorkerContainer(settings=settings)
        async with container.engines():
            return await in_audit(container.database(), container.audit(), lambda: work(container), library=container)

    return asyncio.run(run())  # uvloop may wait forever for a socket that its peer has half-closed


def actor(given: str | None) -> str:
    """Return the actor: the given person, or else the caller's login name.

    Raises:
        InvalidError: the name belongs to another kind of actor, such as `bootstrap` or `key:…`.
    """
    if given and person_of(given) is None:
        raise InvalidError(f"--actor {given!r} is not a person; leave it out to use your login name", param="actor")
    return given or f"cli:{getpass.getuser()}"
