"""Controller of `/graphql`: queries by text or by hash."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from faregate.core.errors import FaregateError, InvalidError, MalformedError, MissingExtraError, NotFoundError
from faregate.gateway.errors import STATUS
from faregate.gateway.http.body import validate
from faregate.gateway.http.dialects import GRAPHQL, GRAPHQL_JSON, graphql_media_type
from faregate.gateway.http.operation import Call, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.graphql import Extensions, GraphqlBody, GraphqlQuery
from faregate.wire import exact_json

if TYPE_CHECKING:
    from faregate.gateway.graphql.service import GraphService

__all__ = ["GraphqlController"]

_BODY_LIMIT_BYTES = 64 * 1024
_AT_ONCE = 32
_ERRORS = (NotFoundError, MissingExtraError)
_OF_THE_QUERY = (MalformedError, InvalidError, NotFoundError)
"""Errors of the query itself: GraphQL answers them with status 200 to clients of plain JSON."""


class GraphqlController(Controller):
    """GraphQL over HTTP.

    The service is made at the first request: it needs an extra, and is slow to import.
    """

    def __init__(self, service: "Callable[[], GraphService]") -> None:
        self._service = service

    @operation(
        "POST",
        "/graphql",
        tag="graphql",
        scope=None,
        known=True,
        body_limit_bytes=_BODY_LIMIT_BYTES,
        errors=_ERRORS,
        concurrency=_AT_ONCE,
        personal=Personal.WORDS,
        dialect=GRAPHQL,
    )
    async def post(self, call: Call, body: GraphqlBody) -> Response:
        """Answer a query in GraphQL.

        Each field needs the scope of the HTTP call that answers the same, and people may read their own data. The schema is
        in the documentation, and is answered to introspection. A query that is too deep, too long or too expensive is refused
        before it runs. With `extensions.persistedQuery.sha256Hash` the text may be left out once it is known.
        """
        return await self._answer(call, body)

    @operation(
        "GET",
        "/graphql",
        tag="graphql",
        scope=None,
        known=True,
        errors=_ERRORS,
        concurrency=_AT_ONCE,
        personal=Personal.WORDS,
        dialect=GRAPHQL,
    )
    async def get(self, call: Call, query: GraphqlQuery) -> Response:
        """Answer a persisted query, named by the hash in `extensions`."""
        if query.query is not None:
            raise InvalidError("GET is for persisted queries only; send the text of a query with POST", param="query")
        extensions = validate(Extensions, _json(query.extensions, "extensions"))
        if extensions.persistedQuery is None:
            raise InvalidError(
                'extensions must be {"persistedQuery": {"version": 1, "sha256Hash": "…"}}', param="extensions"
            )
        variables = _json(query.variables, "variables") if query.variables is not None else None
        asked: dict[str, Any] = {"operationName": query.operationName, "variables": variables, "extensions": extensions}
        return await self._answer(call, validate(GraphqlBody, asked))

    async def _answer(self, call: Call, body: GraphqlBody) -> Response:
        service = await asyncio.to_thread(self._service)
        from faregate.gateway.graphql.errors import error_of  # of the extra
        from faregate.gateway.graphql.service import GraphRequest

        persisted = body.extensions.persistedQuery
        sha256_hash = persisted.sha256Hash if persisted is not None else None
        request = GraphRequest(body.query, sha256_hash, body.operationName, body.variables)
        try:
            answer = await service.answer(request, call)
        except _OF_THE_QUERY as error:
            return _response(call, {"errors": [error_of(error, request_id=call.request_id)]}, _status(error))
        return _response(call, answer.content, 200 if answer.ran else 400)


def _status(error: FaregateError) -> int:
    status = STATUS[error.code]
    return 400 if status == 422 else status


def _response(call: Call, content: Any, status: int) -> Response:
    """Return an answer; to clients of plain JSON with status 200, as they expect of GraphQL."""
    kind = graphql_media_type(call.request)
    shown = status if kind == GRAPHQL_JSON else 200
    headers = {"cache-control": "no-store", "vary": "accept"}
    return Response(exact_json.dumps(content), shown, headers, media_type=kind)


def _json(text: str, param: str) -> Any:
    try:
        return exact_json.loads(text)
    except MalformedError as error:
        raise MalformedError(f"{param}: {error.detail}", param=param) from None
