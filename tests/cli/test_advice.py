"""Advice of errors, which the command line gives as commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import faregate.core
from faregate.cli.advice import HTTP_ONLY, in_commands
from faregate.cli.main import command_line
from support.processes import run_command

LIBRARIES = Path(faregate.core.__file__).parents[4]
CALL = re.compile(r"(?:GET|POST|PUT|DELETE) /api/[^\s;,()?]*[^\s;,()?.]")


def advised() -> Iterator[str]:
    """Return the HTTP calls in texts of the libraries that the command line may print; `X` stands for what is filled in."""
    for library in ("core", "credit", "usage", "analytics", "feature_log"):
        for path in sorted((LIBRARIES / library / "src").glob("**/*.py")):
            tree = ast.parse(path.read_text())
            notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            notes |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                if id(node) in notes or not isinstance(node, ast.Constant | ast.JoinedStr):
                    continue
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)
                yield from CALL.findall(text)


def test_every_call_that_an_error_advises_has_a_command_or_is_known_to_have_none() -> None:
    calls = set(advised())
    without = {call for call in calls if in_commands(call) == call}

    assert len(calls) > 8
    assert without == HTTP_ONLY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "create it with PUT /api/organizations/acme",
            "create it with `faregate organizations set acme`",
        ),
        (
            'let the user join with PUT /api/organizations/acme {"join": ["ada"]}',
            "let the user join with `faregate organizations set acme --join ada`",
        ),
        (
            "(PUT /api/wallets/{user_id}), or change it (PUT /api/features/chat)",
            "(`faregate wallets set USER`), or change it (`faregate features apply FILE`)",
        ),
        ("listed by GET /api/wallets/…/transactions", "listed by `faregate transactions OWNER`"),
        ("GET /api/keys lists them", "`faregate keys list` lists them"),
        ("POST /api/usage-events/corrections", "POST /api/usage-events/corrections"),
        ("nothing at all", "nothing at all"),
    ],
)
def test_calls_become_commands(text: str, expected: str) -> None:
    assert in_commands(text) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("wallets", "show", "nobody"), "'nobody' has no wallet yet; it is created on first use, or with `faregate wallets set nobody`"),
        (("organizations", "show", "acme"), "create it with `faregate organizations set acme`"),
        (("keys", "revoke", "k"), "`faregate keys list` lists them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
async def test_the_command_line_advises_commands(database_url: str, arguments: tuple[str, ...], expected: str) -> None:
    done = await run_command(*arguments, FAREGATE_DATABASE_URL=database_url)

    assert (done.code, done.out) == (1, "")
    assert expected in done.err
    assert "/api/" not in done.err


def test_advised_commands_exist() -> None:
    app = command_line()
    for words in (["wallets", "set"], ["transactions"], ["adjust"], ["refund"], ["organizations", "set"],
                  ["features", "apply"], ["keys", "list"], ["quotas", "status"]):  # fmt: skip
        chain, _, rest = app.parse_commands(words)
        assert list(chain) == words
        assert not rest
