"""Help of every command, including text in brackets."""

import inspect
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cyclopts import App
from rich.console import Console

from faregate.cli.main import command_line

PLACEHOLDER = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")


def commands(app: App, *path: str) -> Iterator[tuple[tuple[str, ...], App]]:
    """Find every command below `app`, with the words that call it."""
    for name in app:
        if not name.startswith("-"):
            yield (*path, name), app[name]
            yield from commands(app[name], *path, name)


ALL = list(commands(command_line()))


def promised(app: App) -> str:
    """Return the docstring of a command and the help of its options."""
    function: Any = app.default_command
    if function is None:
        return ""
    options = [part for argument in app.assemble_argument_collection() for part in [argument.parameter.help or ""]]
    return " ".join([inspect.getdoc(function) or "", *options])


def test_docstrings_with_placeholders_are_found() -> None:
    assert len(ALL) > 60
    assert [path for path, app in ALL if "org:<id>" in promised(app)]


@pytest.mark.parametrize(("path", "app"), ALL, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_text_in_brackets_is_in_the_help(path: tuple[str, ...], app: App) -> None:
    file = io.StringIO()
    command_line().help_print(list(path), console=Console(file=file, width=400))

    missing = [text for text in PLACEHOLDER.findall(promised(app)) if text not in file.getvalue()]

    assert missing == []
