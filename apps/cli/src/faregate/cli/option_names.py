"""Errors that name command-line options instead of fields of HTTP bodies."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from faregate.core.errors import FaregateError

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["in_options", "options_of"]

_OPTIONS: Mapping[str, str] = {
    "startDate": "--from",
    "endDate": "--to",
    "groupBy": "--by",
    "user_id": "--user",
    "organization_id": "--organization",
}
"""Options whose name differs from the field's."""

_FIELD = re.compile(r"(?<![\w/'`\"-])(?:startDate|endDate|groupBy|[a-z]+(?:_[a-z]+)+)(?![\w'`\"])")
"""A field's name in a sentence, outside quotes and paths."""


def options_of(app: "App", arguments: Sequence[str]) -> frozenset[str]:
    """Return the options of the command that `arguments` name; empty if they name none."""
    _, apps, _ = app.parse_commands(list(arguments))
    command = apps[-1]
    if command.default_command is None:
        return frozenset()
    return frozenset(name for argument in command.assemble_argument_collection() for name in argument.names)


def in_options(error: FaregateError, options: frozenset[str]) -> str:
    """Return the detail of `error`, with each field that has an option in `options` replaced by the option."""
    detail = _FIELD.sub(lambda found: _option(found[0], options), error.detail)
    first, space, rest = detail.partition(" ")
    return f"{_option(first, options)}{space}{rest}" if first == error.param else detail


def _option(field: str, options: frozenset[str]) -> str:
    named = _OPTIONS.get(field, f"--{field.replace('_', '-')}")
    plain = f"--{field.replace('_', '-')}"
    return next((option for option in (plain, named) if option in options), field)
