"""Hints of errors reach the people they are for: our own redaction finds nothing in them to take out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import faregate.core
from faregate.core.redaction.scrubbing import clean_text

ROOT = Path(faregate.core.__file__).parents[5]
SOURCES = sorted(path for part in ("libs", "apps") for path in (ROOT / part).glob("*/src/**/*.py"))


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the texts that errors are made with; `…` stands for what is filled in."""
    for call in ast.walk(tree):
        name = getattr(call, "func", None)
        named = getattr(name, "id", getattr(name, "attr", "")) if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call) or not str(named).endswith("Error"):
            continue
        for argument in ast.walk(call):
            if isinstance(argument, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in argument.values]
                yield argument.lineno, "".join(map(str, parts))
            elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.lineno, argument.value


def test_no_message_of_an_error_is_redacted() -> None:
    messages = [(f"{path.name}:{line}", text) for path in SOURCES for line, text in _texts(ast.parse(path.read_text()))]

    assert len(messages) > 300
    assert [place for place, text in messages if clean_text(text) != text] == []


@pytest.mark.parametrize("text", ["Authorization: Bearer abcdef", "password: hunter2"])
def test_a_text_that_looks_like_a_secret_would_be(text: str) -> None:
    """The check above can fail."""
    assert clean_text(text) != text
