"""GraphQL schema of the gateway, and its text for the repository."""

from collections.abc import Iterator
from functools import lru_cache

from graphql import GraphQLError, GraphQLSchema
from strawberry import Schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from faregate.core.errors import FaregateError
from faregate.core.logging import get_logger
from faregate.gateway.graphql.prepared import Prepared
from faregate.gateway.graphql.scalars import SCALARS
from faregate.gateway.graphql.types.query import Query

__all__ = ["GraphSchema", "graph_schema", "schema_text"]

log = get_logger(__name__)


class _AlreadyPrepared(SchemaExtension):
    """Hands the document over that was parsed, measured, validated and priced before."""

    def on_operation(self) -> Iterator[None]:
        prepared = self.execution_context.root_value
        assert isinstance(prepared, Prepared)  # noqa: S101  the service passes nothing else
        self.execution_context.graphql_document = prepared.document
        self.execution_context.validation_rules = ()
        self.execution_context.root_value = None
        yield


class GraphSchema(Schema):
    """A schema that executes prepared documents, and logs the errors that nobody expected."""

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core knows it."""
        return self._schema

    def process_errors(
        self,
        errors: list[GraphQLError],
        execution_context: ExecutionContext | None = None,  # noqa: ARG002
    ) -> None:
        for error in errors:
            cause = error.original_error
            if cause is not None and not isinstance(cause, FaregateError | GraphQLError):
                log.error("graphql_field_failed", path=error.path, exc_info=cause)


@lru_cache(maxsize=1)
def graph_schema() -> GraphSchema:
    """Return the schema; it is built once."""
    return GraphSchema(
        query=Query, extensions=[_AlreadyPrepared], config=StrawberryConfig(scalar_map=dict(SCALARS), sort_schema=False)
    )


def schema_text() -> str:
    """Return the schema in GraphQL's own language."""
    return graph_schema().as_str() + "\n"
