"""Files of features and plans, and their changes against the database."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from faregate.cli.shared.output import console, number, print_json, print_table
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.wire import exact_json

__all__ = ["DefinitionChange", "changes_between", "entries_in", "show_changes"]


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One field of one definition that differs; `before` is None for a new definition."""

    key: str
    field: str
    before: Any
    after: Any


def entries_in(path: Path, section: str) -> dict[str, dict[str, Any]]:
    """Return the definitions of a section ("features", "plans") of a TOML or JSON file, by key.

    Raises:
        ConfigurationError: the file cannot be read.
        InvalidError: the section is missing, or an entry has no key, or two entries have the same key.
    """
    try:
        data = path.read_bytes()
        read = exact_json.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode(), parse_float=Decimal)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    listed: Any = cast("dict[str, Any]", read).get(section) if isinstance(read, dict) else read
    if not isinstance(listed, list):
        raise InvalidError(f"{path}: {section} is missing; write [[{section}]] for each one", param=section)
    found: dict[str, dict[str, Any]] = {}
    for position, entry in enumerate(cast("list[Any]", listed)):
        key = cast("dict[str, Any]", entry).get("key") if isinstance(entry, dict) else None
        if not isinstance(key, str) or key in found:
            raise InvalidError(f"{path}: {section}[{position}] needs a unique key", param=f"{section}.{position}.key")
        found[key] = entry
    return found


def changes_between(key: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[DefinitionChange]:
    """Return the fields that differ."""
    known = before or {}
    return [
        DefinitionChange(key, name, known.get(name), value)
        for name, value in after.items()
        if name != "key" and (before is None or known.get(name) != value) and not (before is None and not value)
    ]


def show_changes(changes: Sequence[DefinitionChange], *, output: str) -> None:
    """Print the changes."""
    if output == "json":
        print_json([{"key": c.key, "field": c.field, "before": c.before, "after": c.after} for c in changes])
    elif not changes:
        console.print("nothing differs")
    else:
        rows = [(c.key, c.field, _text(c.before), _text(c.after)) for c in changes]
        print_table("What changes", ["key", "field", "before", "after"], rows)


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return exact_json.dumps(value).decode()
    return number(value)
