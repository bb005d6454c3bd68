"""JSON schemas of models, with decimals as numbers."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, cast

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

__all__ = ["Mode", "Schemas"]

Mode = Literal["validation", "serialization"]

_REFERENCE = "#/components/schemas/{model}"
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class _Generator(GenerateJsonSchema):
    """Generates a JSON schema in which `Decimal` is a number, as in our JSON, and not a string."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        return {"type": "number", **{name: bound for name, bound in schema.items() if name in _BOUNDS}}

    def encode_default(self, dft: Any) -> Any:
        return _number(dft) if isinstance(dft, Decimal) else super().encode_default(dft)


class Schemas:
    """All schemas of a document, named and referenced; request bodies in validation mode, answers in serialisation mode."""

    def __init__(self, kinds: Sequence[tuple[Any, Mode]]) -> None:
        inputs = [(index, mode, TypeAdapter(kind).core_schema) for index, (kind, mode) in enumerate(kinds)]
        found, definitions = _Generator(ref_template=_REFERENCE).generate_definitions(cast("Any", inputs))
        self.definitions: dict[str, dict[str, Any]] = {
            str(name): _mended(schema) for name, schema in definitions.items()
        }
        self._found = {(repr(kind), mode): _mended(found[index, mode]) for index, (kind, mode) in enumerate(kinds)}

    def of(self, kind: Any, mode: Mode) -> dict[str, Any]:
        """Return the schema of `kind`; for a model, a reference."""
        return dict(self._found[repr(kind), mode])

    def resolved(self, kind: Any, mode: Mode) -> dict[str, Any]:
        """Return the schema of a model itself."""
        schema = self.of(kind, mode)
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        return self.definitions[name] if name else schema


def _mended(schema: Any) -> Any:
    """Return the schema with bounds that pydantic writes in keywords of its own, in keywords of JSON Schema."""
    if isinstance(schema, list):
        return [_mended(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return _number(schema) if isinstance(schema, Decimal) else schema
    fields = {name: _mended(item) for name, item in cast("dict[str, Any]", schema).items()}
    if fields.get("type") != "number":
        return fields
    for ours, theirs in _BOUNDS.items():
        if ours in fields:
            fields[theirs] = fields.pop(ours)
    places = fields.pop("decimal_places", None)
    fields.pop("allow_inf_nan", None)
    if places is not None:
        fields.setdefault("description", f"exact, at most {places} decimal places")
    return fields


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)
