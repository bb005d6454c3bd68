"""Limits on a GraphQL document, checked before it is validated.

Validation and execution take time that grows faster than the document, so that size, nesting, aliases and fields are bounded
first. Fragments are measured once each: a document whose fragments spread each other many times is measured as quickly as any
other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    parse,
)
from graphql.language import Lexer, Source, TokenKind

from faregate.core.errors import InvalidError, MalformedError

__all__ = [
    "ALIASES_LIMIT",
    "DEPTH_LIMIT",
    "FIELDS_LIMIT",
    "FRAGMENTS_LIMIT",
    "TOKENS_LIMIT",
    "Shape",
    "check_shape",
    "parsed",
    "shape_of",
]

TOKENS_LIMIT = 2_000
DEPTH_LIMIT = 12
ALIASES_LIMIT = 30
FIELDS_LIMIT = 300
FRAGMENTS_LIMIT = 30
_NESTING_LIMIT = 50
"""Brackets within each other: the parser needs a part of the stack for each."""

_OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a selection, with its fragments in the places where they are spread."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0


def parsed(text: str) -> DocumentNode:
    """Return the document of a text.

    Raises:
        MalformedError: it is not GraphQL. InvalidError: it is too long, or nested too deep.
    """
    try:
        _check_tokens(text)
        return parse(text, max_tokens=TOKENS_LIMIT)
    except GraphQLSyntaxError as error:
        line, column = error.locations[0] if error.locations else (1, 1)
        raise MalformedError(
            f"query is not GraphQL at line {line} column {column}: {error.message.removeprefix('Syntax Error: ')}",
            param="query",
        ) from None


def check_shape(document: DocumentNode) -> None:
    """Raise `InvalidError` if a document is larger than the limits, or if its fragments spread each other in a circle."""
    shape = shape_of(document)
    fragments = sum(isinstance(each, FragmentDefinitionNode) for each in document.definitions)
    _check("fragments", fragments, FRAGMENTS_LIMIT, "write the fields of some of them out")
    _check("levels of fields", shape.depth, DEPTH_LIMIT, "ask for fewer levels")
    _check("aliases", shape.aliases, ALIASES_LIMIT, "send them in several requests")
    _check("fields", shape.fields, FIELDS_LIMIT, "ask for fewer fields, or send them in several requests")


def shape_of(document: DocumentNode) -> Shape:
    """Return the sums over the operations of a document; its depth is that of the deepest one."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    known: dict[str, Shape | None] = {}
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    shapes = [_selections(each.selection_set.selections, fragments, known) for each in operations]
    return _sum(shapes)


def _check(what: str, found: int, limit: int, fix: str) -> None:
    if found > limit:
        raise InvalidError(f"query has {_count(found)} {what}; at most {limit} are allowed: {fix}", param="query")


def _count(number: int) -> str:
    return str(number) if number < 10**6 else "more than a million"


def _check_tokens(text: str) -> None:
    lexer, nesting = Lexer(Source(text)), 0
    for count in range(TOKENS_LIMIT + 1):
        kind = lexer.advance().kind
        if kind is TokenKind.EOF:
            return
        nesting += (kind in _OPENING) - (kind in _CLOSING)
        if nesting > _NESTING_LIMIT:
            raise InvalidError(f"query nests brackets more than {_NESTING_LIMIT} deep; ask for less", param="query")
        if count == TOKENS_LIMIT:
            break
    raise InvalidError(
        f"query has more than {TOKENS_LIMIT} words and signs; send it in several requests", param="query"
    )


def _selections(
    selections: Iterable[SelectionNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Shape | None],
) -> Shape:
    return _sum(_selection(each, fragments, known) for each in selections)


def _selection(
    node: SelectionNode, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, Shape | None]
) -> Shape:
    if isinstance(node, FragmentSpreadNode):
        return _fragment(node.name.value, fragments, known)
    if isinstance(node, InlineFragmentNode):
        return _selections(node.selection_set.selections, fragments, known)
    assert isinstance(node, FieldNode)  # noqa: S101  there is no other kind of selection
    below = _selections(node.selection_set.selections, fragments, known) if node.selection_set else Shape()
    depth = 0 if node.name.value.startswith("__") else below.depth + 1  # the schema's own depth has a rule of its own
    return Shape(depth, below.aliases + (node.alias is not None), below.fields + 1)


def _fragment(name: str, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, Shape | None]) -> Shape:
    """Return the shape of a fragment; of an unknown one, which validation refuses, nothing."""
    if name not in known and name in fragments:
        known[name] = None
        known[name] = _selections(fragments[name].selection_set.selections, fragments, known)
    shape = known.get(name, Shape())
    if shape is None:
        raise InvalidError(f"the fragment {name[:100]!r} spreads itself; write its fields out", param="query")
    return shape


def _sum(shapes: Iterable[Shape]) -> Shape:
    found = list(shapes)
    return Shape(
        max((each.depth for each in found), default=0),
        sum(each.aliases for each in found),
        sum(each.fields for each in found),
    )
