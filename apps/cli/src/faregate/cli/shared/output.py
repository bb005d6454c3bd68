"""Output of commands: tables for people, JSON for programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from rich.table import Table

from faregate.cli.shared.piped_console import PipedConsole
from faregate.wire import exact_json

__all__ = [
    "Format",
    "console",
    "errors",
    "number",
    "print_done",
    "print_facts",
    "print_json",
    "print_table",
    "shows_pictures",
    "table",
]

Format = Literal["table", "json"]

_WIDTH = 118
"""Width of tables where no terminal determines it."""

console = PipedConsole(width=None if sys.stdout.isatty() else _WIDTH)
errors = PipedConsole(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)


def shows_pictures() -> bool:
    """Return whether the output shows bars: on a terminal with UTF-8, unless NO_COLOR is set."""
    return console.is_terminal and not console.no_color and console.encoding.startswith("utf")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table; columns of numbers are aligned right."""
    kept = [list(row) for row in rows]
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", expand=False)
    for position, name in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | Decimal) for row in kept) and bool(kept)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in kept:
        made.add_row(*(number(value) for value in row))
    return made


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    console.print(table(title, columns, rows))


def print_json(value: Any) -> None:
    """Print `value` as exact JSON, for programs."""
    sys.stdout.write(exact_json.dumps(value).decode() + "\n")


def print_done(sentence: str, facts: Mapping[str, Any], output: str) -> None:
    """Print what a command has done: as a sentence for people, or the facts as JSON for programs."""
    if output == "json":
        print_json(facts)
    else:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def print_facts(title: str, facts: Mapping[str, Any], output: str) -> None:
    """Print the fields of one thing, one row each, or as one JSON object."""
    if output == "json":
        print_json(facts)
    else:
        print_table(title, ["", "value"], list(facts.items()))


def number(value: Any) -> str:
    """Return a value as people read it: thousands separated, without trailing zeros."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else ("yes" if value else "no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        whole, _, fraction = f"{value:,f}".partition(".")
        fraction = fraction.rstrip("0")
        return f"{whole}.{fraction}" if fraction else whole
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
