"""Errors of GraphQL answers: the codes of the closed list, in `extensions`."""

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLError

from faregate.core.errors import FaregateError, InvalidError
from faregate.core.redaction.scrubbing import clean_text, clean_value
from faregate.gateway.errors import DOCS_URL
from faregate.gateway.graphql.documents import UNKNOWN_HASH

__all__ = ["error_of", "errors_of"]

_LONGEST = 1_000


def errors_of(errors: Iterable[GraphQLError], *, request_id: str) -> list[Mapping[str, Any]]:
    """Return the errors of fields, or of a validation."""
    return [
        {
            **error_of(_cause(error), request_id=request_id),
            **(
                {"locations": [{"line": at.line, "column": at.column} for at in error.locations]}
                if error.locations
                else {}
            ),
            **({"path": error.path} if error.path is not None else {}),
        }
        for error in errors
    ]


def error_of(error: FaregateError, *, request_id: str) -> dict[str, Any]:
    """Return one error: a sentence for people, and `code`, `type`, `param` and the facts in `extensions`."""
    described: dict[str, Any] = {**clean_value(error.facts), "code": error.code}
    if error.param is not None:
        described["param"] = error.param
    described |= {"type": f"{DOCS_URL}#{error.code}", "request_id": request_id}
    message = error.public_detail if error.public_detail == UNKNOWN_HASH else clean_text(error.public_detail[:_LONGEST])
    return {"message": message, "extensions": described}


def _cause(error: GraphQLError) -> FaregateError:
    """Return what an error of GraphQL stands for: an error of a service, a wrong request, or a defect."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, FaregateError):
        return cause
    if cause is None or (isinstance(cause, ValueError | TypeError) and error.path is None):
        return InvalidError(error.message, param="query")
    return FaregateError("An unexpected error occurred; it has been logged")
