"""Choice of the server that answers a request's reads."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from faregate.core.db.database import Database
from faregate.core.db.read_scope import ReadScope, entered_scope
from faregate.gateway.http.operation import Operation
from faregate.gateway.http.write_marks import WriteMarks
from faregate.gateway.security.auth import Principal, Role

__all__ = ["LAG_HEADER", "ReplicaReads", "only_reads"]

LAG_HEADER = "x-faregate-lag-seconds"
"""How far behind the replica may be that answered; the header is absent if the primary answered."""

_READING_POSTS = frozenset({"analytics.what_if", "graphql.post"})


def only_reads(operation: Operation) -> bool:
    """Return whether a call changes nothing but the audit log, so that a replica may answer it."""
    return operation.method == "GET" or operation.id in _READING_POSTS


def _is_customer(principal: Principal) -> bool:
    """Return whether the caller reads their own data only: others write it for them, with other credentials."""
    return principal.portal is not None or (principal.user_id is not None and principal.roles <= {Role.USER})


class ReplicaReads:
    """Opens the read scope of each request.

    A call that writes reads from the primary. People who read their own data, and callers who have written lately, are answered
    with everything that was committed before.

    Attributes:
        is_used: whether there is a replica; without one, no request needs a scope.
    """

    def __init__(self, database: Database, marks: WriteMarks) -> None:
        self.is_used = database.replica is not None
        self._marks = marks

    @asynccontextmanager
    async def scope(self, operation: Operation, principal: Principal) -> AsyncGenerator[ReadScope]:
        """Enter the scope of a request, and note afterwards that the caller has written; for deployments with a replica."""
        reads = only_reads(operation)
        scope = ReadScope(on_primary=not reads)
        if reads and not _is_customer(principal):
            scope.decide = lambda: self._marks.wrote_lately(principal.id)
        with entered_scope(scope):
            try:
                yield scope
            finally:
                if not reads:
                    await self.note(principal)

    async def note(self, principal: Principal) -> None:
        """Record that the caller has written."""
        if self.is_used:
            await self._marks.note(principal.id)
