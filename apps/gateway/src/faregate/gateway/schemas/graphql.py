"""Requests of `/graphql`, by GraphQL over HTTP; persisted queries, by Apollo."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictStr, model_validator

from faregate.core.values.fields import LooseBody

__all__ = ["Extensions", "GraphqlBody", "GraphqlQuery", "PersistedQuery"]

_TEXT_LENGTH_MAX = 60_000
_HASH = "^[0-9a-f]{64}$"
_Name = Annotated[StrictStr, Field(max_length=255, examples=["Balance"])]


class PersistedQuery(LooseBody):
    """A query by its hash: SHA-256 of its text, in hexadecimal digits."""

    version: int = Field(default=1, ge=1, le=1)
    sha256Hash: Annotated[StrictStr, Field(pattern=_HASH)]  # noqa: N815


class Extensions(LooseBody):
    """Additions to a request; unknown ones are ignored."""

    persistedQuery: PersistedQuery | None = None  # noqa: N815


def _object(value: Any) -> Any:
    return {} if value is None else value


class GraphqlBody(LooseBody):
    """`POST /graphql`."""

    query: Annotated[StrictStr, Field(max_length=_TEXT_LENGTH_MAX, examples=["{ caller { userId } }"])] | None = None
    operationName: _Name | None = None  # noqa: N815
    variables: Annotated[dict[str, Any], BeforeValidator(_object)] = Field(default_factory=dict[str, Any])
    extensions: Annotated[Extensions, BeforeValidator(_object)] = Field(default_factory=Extensions)

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError("must be one request: batches are refused; send the queries in requests of their own")  # noqa: TRY004
        return value


class GraphqlQuery(LooseBody):
    """`GET /graphql`: a persisted query. `extensions` and `variables` are JSON."""

    extensions: Annotated[
        str, Field(max_length=1000, examples=[f'{{"persistedQuery":{{"version":1,"sha256Hash":"{"0" * 64}"}}}}'])
    ]
    operationName: _Name | None = None  # noqa: N815
    variables: Annotated[str, Field(max_length=10_000)] | None = None
    query: Annotated[str, Field(max_length=_TEXT_LENGTH_MAX)] | None = None
