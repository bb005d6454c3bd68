"""JSON from every command that prints data."""

from collections.abc import Iterator

import pytest
from cyclopts import App

from faregate.cli.main import command_line
from faregate.wire import exact_json
from support.processes import run_command

WITHOUT = {
    "up": "a server",
    "gateway": "a server",
    "worker": "a server",
    "demo": "a show",
    "chaos": "writes its report to files",
    "completion": "prints a script",
    "usage export": "writes files in formats of its own",
}
"""Commands that print no data."""


def leaves(app: App, *path: str) -> Iterator[tuple[str, App]]:
    for name in app:
        if name.startswith("-") or name == "bench":
            continue
        if app[name].default_command is not None:
            yield " ".join((*path, name)), app[name]
        yield from leaves(app[name], *path, name)


def test_every_command_that_prints_data_prints_json() -> None:
    forms = {
        path: "-o" in {name for argument in app.assemble_argument_collection() for name in argument.names}
        for path, app in leaves(command_line())
    }

    assert len(forms) > 60
    assert {path for path, has_json in forms.items() if not has_json} == set(WITHOUT)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["migrate"], {"before", "after", "database"}),
        (["wallets", "set", "ada", "--email", "ada@example.com"], {"owner_id", "balance", "organization_id"}),
        (["quotas", "set", "ada", "api", "5"], {"id", "owner_id", "meter", "limit"}),
        (["usage", "meters", "declare", "seats", "seat"], {"name", "unit"}),
        (["usage", "rollup"], {"added"}),
        (["dlq", "drop", "--all"], {"dropped"}),
        (["prices", "set", "gpt-4o", "input_mtok=2"], {"model", "version"}),
        (["logs", "retention", "set", "chat", "0"], {"feature", "days"}),
        (["logs", "new-key", "2026-11"], {"key"}),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
async def test_what_was_done_is_printed_as_json(database_url: str, arguments: list[str], expected: set[str]) -> None:
    done = await run_command(*arguments, "-o", "json", FAREGATE_DATABASE_URL=database_url)

    assert done.code == 0, done.err
    assert expected <= set(exact_json.loads(done.out.encode()))
