"""Price of a GraphQL query in points, known before it runs.

A field that calls a service costs the points that it declares, once for each object that it is asked of; an object of a list
costs one point more. Lists count with the number of items that the query asks for, or with the usual number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

__all__ = ["DEFAULT_PAGE", "PAGE", "FieldPrice", "QueryCost", "cost_of", "priced"]

PAGE = 0
DEFAULT_PAGE = 20
"""The number of items of a list without a `limit`."""

_PRICE = "price"
_DEFINITION = "strawberry-definition"
_INTROSPECTION_POINTS = 200
_LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class FieldPrice:
    """The declared price of a field.

    Attributes:
        points: for one call of its service; 0 for a field that calls none.
        items: the usual number of items of a list; `PAGE` for as many as the page above it has.
        sized_by: the argument that says how many items the list, or the page, has.
    """

    points: int = 0
    items: int = 1
    sized_by: str | None = None


@dataclass(frozen=True, slots=True)
class QueryCost:
    """The price of a query, and how many fields of it call a service: calls of the HTTP interface that it stands for."""

    points: int = 0
    calls: int = 0

    def __add__(self, other: "QueryCost") -> "QueryCost":
        return QueryCost(self.points + other.points, self.calls + other.calls)


_FREE = FieldPrice()


def priced(points: int = 0, *, items: int = 1, sized_by: str | None = None) -> Mapping[str, FieldPrice]:
    """Return the metadata of a field that declares its price."""
    return {_PRICE: FieldPrice(points, items, sized_by)}


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> QueryCost:
    """Return the price of one operation of a valid document.

    A page whose size cannot be known, because the variable is missing or no whole number, counts as the largest one.
    """
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    defaults = {
        each.variable.name.value: each.default_value
        for each in operation.variable_definitions or ()
        if each.default_value
    }
    root = schema.query_type
    assert root is not None  # noqa: S101  a schema without a query type is not valid
    return _Pricer(schema, fragments, defaults, variables).selection(root, operation.selection_set, 1)


class _Pricer:
    """Prices selections; each fragment is priced once for each size of page in which it is spread."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        defaults: Mapping[str, ValueNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._defaults = defaults
        self._variables = variables
        self._known: dict[tuple[str, int], QueryCost] = {}

    def selection(self, kind: GraphQLNamedType, chosen: SelectionSetNode | None, page: int) -> QueryCost:
        """Return the price of a selection of one object; lists in it that declare no size have `page` items."""
        if chosen is None:
            return QueryCost()
        return _sum(self._part(kind, node, page) for node in chosen.selections)

    def _part(self, kind: GraphQLNamedType, node: Any, page: int) -> QueryCost:
        if isinstance(node, FragmentSpreadNode):
            name = (node.name.value, page)
            if name not in self._known:
                fragment = self._fragments[node.name.value]
                self._known[name] = self.selection(self._named(kind, fragment), fragment.selection_set, page)
            return self._known[name]
        if isinstance(node, InlineFragmentNode):
            return self.selection(self._named(kind, node), node.selection_set, page)
        return self._field(kind, cast("FieldNode", node), page)

    def _named(self, kind: GraphQLNamedType, node: FragmentDefinitionNode | InlineFragmentNode) -> GraphQLNamedType:
        named = node.type_condition
        return kind if named is None else self._schema.type_map[named.name.value]

    def _field(self, kind: GraphQLNamedType, node: FieldNode, page: int) -> QueryCost:
        name = node.name.value
        if name.startswith("__"):
            return QueryCost(_INTROSPECTION_POINTS if node.selection_set else 0)
        assert isinstance(kind, GraphQLObjectType)  # noqa: S101  the schema has no interfaces or unions
        field = kind.fields[name]
        price = _price(field.extensions)
        if not node.selection_set:
            return QueryCost(price.points, int(price.points > 0))
        size = self._size(price, node)
        shown = str(field.type)
        below = self.selection(self._schema.type_map[shown.strip("[]!")], node.selection_set, size)
        times = 1
        if shown.startswith("["):
            times = size if price.sized_by is not None else price.items or page
        return QueryCost(price.points + times * (1 + below.points), below.calls + int(price.points > 0))

    def _size(self, price: FieldPrice, node: FieldNode) -> int:
        if price.sized_by is None:
            return 1
        given = next((each.value for each in node.arguments or () if each.name.value == price.sized_by), None)
        if given is None:
            return DEFAULT_PAGE
        value: Any = given
        if isinstance(given, VariableNode):
            value = self._variables.get(given.name.value, self._defaults.get(given.name.value))
        if isinstance(value, IntValueNode):
            value = int(value.value)
        is_size = isinstance(value, int) and not isinstance(value, bool)
        return min(max(value, 1), _LARGEST_PAGE) if is_size else _LARGEST_PAGE


def _price(extensions: Mapping[str, Any]) -> FieldPrice:
    definition = extensions.get(_DEFINITION)
    found = getattr(definition, "metadata", {}).get(_PRICE, _FREE) if definition is not None else _FREE
    return cast("FieldPrice", found)


def _sum(costs: Iterable[QueryCost]) -> QueryCost:
    total = QueryCost()
    for each in costs:
        total += each
    return total
