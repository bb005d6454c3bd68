"""Preparation of a GraphQL request: parse, measure, validate, price."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    validate,
)

from faregate.core.errors import InvalidError
from faregate.gateway.graphql.cost import QueryCost, cost_of
from faregate.gateway.graphql.limits import check_shape, parsed

__all__ = ["Prepared", "prepared"]

_ERRORS_LISTED = 10


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid document with the price of the operation that is to run, or the errors of its validation."""

    document: DocumentNode
    cost: QueryCost = QueryCost()
    errors: tuple[GraphQLError, ...] = ()


def prepared(
    schema: GraphQLSchema, text: str, operation_name: str | None, variables: Mapping[str, Any], *, cost_limit: int
) -> Prepared:
    """Return the document of a text, ready to run.

    Raises:
        MalformedError: it is not GraphQL.
        InvalidError: it exceeds a limit, costs too much, or does not have the operation.
    """
    document = parsed(text)
    check_shape(document)
    operation = _operation(document, operation_name)
    errors = validate(schema, document, max_errors=_ERRORS_LISTED)
    if errors:
        return Prepared(document, errors=tuple(errors))
    cost = cost_of(schema, document, operation, variables)
    if cost.points > cost_limit:
        raise InvalidError(
            f"query costs {cost.points} points; at most {cost_limit} are allowed: ask for smaller pages (limit), fewer lists "
            "within lists, or send it in several requests",
            param="query",
            cost=cost.points,
            limit=cost_limit,
        )
    return Prepared(document, cost)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operation = get_operation_ast(document, name)
    if operation is None:
        reason = "query has no operation of this name" if name else "query has several operations, or none"
        raise InvalidError(f"{reason}; send operationName with the name of one of them", param="operationName")
    if operation.operation is not OperationType.QUERY:
        raise InvalidError(
            f"query is a {operation.operation.value}; this interface only reads: use the HTTP calls of /docs for changes",
            param="query",
        )
    return operation
