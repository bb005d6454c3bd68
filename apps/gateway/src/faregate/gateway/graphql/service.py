"""Service of GraphQL requests: prepare, count, execute, record."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faregate.core.access.audit import AuditLog
from faregate.core.db.database import Database
from faregate.core.errors import ReplicaLostError
from faregate.gateway.graphql.context import GraphContext
from faregate.gateway.graphql.documents import Documents
from faregate.gateway.graphql.errors import errors_of
from faregate.gateway.graphql.prepared import Prepared, prepared
from faregate.gateway.graphql.schema import GraphSchema
from faregate.gateway.graphql.services import GraphServices
from faregate.gateway.http.auditing import look_deed
from faregate.gateway.http.operation import Call
from faregate.gateway.http.rate_limits import RateLimiter
from faregate.gateway.http.visits import Visits
from faregate.wire.errors import UnavailableError

__all__ = ["GraphAnswer", "GraphRequest", "GraphService"]


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """One request: the text of a query or its hash, with its variables."""

    query: str | None
    sha256_hash: str | None
    operation_name: str | None
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """The content of an answer; `ran` is false if the request was refused before it ran."""

    content: Mapping[str, Any]
    ran: bool


class GraphService:
    """Answers requests. Reads only; what staff read of others is recorded in the audit log before it is answered."""

    def __init__(
        self,
        schema: GraphSchema,
        documents: Documents,
        services: GraphServices,
        limiter: RateLimiter,
        database: Database,
        audit: AuditLog,
        *,
        cost_limit: int,
        timeout_seconds: float,
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._services = services
        self._limiter = limiter
        self._database = database
        self._audit = audit
        self._cost_limit = cost_limit
        self._timeout_seconds = timeout_seconds
        self._visits = Visits()

    async def answer(self, request: GraphRequest, call: Call) -> GraphAnswer:
        """Return the answer to a request.

        Raises:
            MalformedError, InvalidError, NotFoundError, ForbiddenError: the request was refused before it ran.
            RateLimitedError: its fields are more calls than the credential may still make in this minute.
            UnavailableError: it took too long.
        """
        text = self._documents.text(request.query, request.sha256_hash)
        ready = prepared(
            self._schema.core, text, request.operation_name, request.variables, cost_limit=self._cost_limit
        )
        if ready.errors:
            return GraphAnswer({"errors": errors_of(ready.errors, request_id=call.request_id)}, ran=False)
        self._documents.learn(text, request.sha256_hash)
        if ready.cost.calls > 1:  # the request itself is counted already
            await self._limiter.count(call.principal, reading=True, calls=ready.cost.calls - 1)
        return await self._execute(ready, request, call)

    async def _execute(self, ready: Prepared, request: GraphRequest, call: Call) -> GraphAnswer:
        context = GraphContext(call, self._services)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await self._schema.execute(
                    None,
                    variable_values=dict(request.variables),
                    context_value=context,
                    root_value=ready,
                    operation_name=request.operation_name,
                )
        except TimeoutError:
            raise UnavailableError(
                f"query did not finish within {self._timeout_seconds:g} seconds; ask for a shorter period, smaller pages or fewer "
                "fields"
            ) from None
        for failure in result.errors or ():
            if isinstance(failure.original_error, ReplicaLostError):
                raise failure.original_error  # the whole query is answered again, by the primary
        await self._record(context)
        errors = errors_of(result.errors or (), request_id=call.request_id)
        if result.data is None and not any("path" in error for error in errors):
            return GraphAnswer({"errors": errors}, ran=False)
        content = {"data": result.data, "extensions": self._extensions(ready, context)}
        return GraphAnswer({"errors": errors, **content} if errors else content, ran=True)

    def _extensions(self, ready: Prepared, context: GraphContext) -> Mapping[str, Any]:
        cost = {"points": ready.cost.points, "limit": self._cost_limit, "calls": max(1, ready.cost.calls)}
        left_out = [each.omissions for each in context.questions if each.omissions.archived_before is not None]
        archived = [{"archivedBefore": each.archived_before, "note": each.note} for each in left_out]
        return {"cost": cost, **({"archived": archived} if archived else {})}

    async def _record(self, context: GraphContext) -> None:
        """Write the audit entries of what was read, in one transaction."""
        call = context.call
        deeds = [
            look_deed(operation, call, owner_id, {"through": "graphql"})
            for (action, owner_id), operation in context.looks.items()
            if not self._visits.is_repeated(call.principal.session, action, owner_id)
        ]

        if deeds:
            await self._database.run(lambda session: self._audit.add_looks(session, deeds))
