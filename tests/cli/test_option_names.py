"""Errors of commands, which name options instead of HTTP fields."""

import sys

import pytest

from faregate.cli import main as commands
from faregate.cli.option_names import in_options
from faregate.core.errors import InvalidError

STATEMENT = ["statement", "--from", "2026-01-01", "--to"]
GRANT = ["grants", "add", "ada", "10", "--key", "k", "--source", "purchase"]


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (["usage", "stats", "--from", "soon"], "--from"),
        (["usage", "totals", "--to", "soon"], "--to"),
        (["usage", "trends", "--from", "2026-02-02", "--to", "2026-01-01"], "--from"),
        (["usage", "peaks", "--timezone", "Moon"], "--timezone"),
        (["usage", "export", "csv", "--from", "soon"], "--from"),
        ([*STATEMENT, "soon"], "--to"),
        (["alerts", "list", "--from", "soon"], "--from"),
        (["logs", "search", "--to", "soon"], "--to"),
        (["quotas", "set", "ada", "api", "much"], "--limit"),
        (["wallets", "show", "ada", "--at", "soon"], "--at"),
        (["prices", "show", "gpt-4o", "--at", "soon"], "--at"),
        ([*GRANT, "--expires-at", "soon"], "--expires-at"),
        ([*GRANT, "--effective-at", "soon"], "--effective-at"),
        ([*GRANT, "--rollover-max", "much"], "--rollover-max"),
        (["adjust", "ada", "much", "--reason", "r", "--key", "k"], "--credits"),
        (["wallets", "set", "ada", "--credit-limit", "much"], "--credit-limit"),
        (["wallets", "set", "ada", "--low-balance", "much"], "--low-balance"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_error_names_the_option_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: list[str], option: str
) -> None:
    monkeypatch.setenv("FAREGATE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(sys, "argv", ["faregate", *call])
    monkeypatch.setattr(commands, "start_logging", lambda: None)

    with pytest.raises(SystemExit) as ended:
        commands.main()

    line = capsys.readouterr().err
    assert ended.value.code == 1
    assert line.startswith(f"faregate: {option} "), line
    assert not {"startDate", "endDate", "groupBy", "_at"} & set(line.split())


@pytest.mark.parametrize(
    ("detail", "param", "expected"),
    [
        (
            "startDate must be before endDate, which is not included",
            None,
            "--from must be before --to, which is not included",
        ),
        ("user_id 'user_id' is not usage_key", "user_id", "--user 'user_id' is not --usage-key"),
        ("see /api/organizations/user_id or `user_id`", None, "see /api/organizations/user_id or `user_id`"),
        ("limit 'x' is not a number; a limit is", "limit", "--limit 'x' is not a number; a limit is"),
        ("model_name is no option here", "model_name", "model_name is no option here"),
    ],
)
def test_only_unquoted_names_of_options_are_replaced(detail: str, param: str | None, expected: str) -> None:
    options = frozenset({"--from", "--to", "--user", "--usage-key", "--limit"})

    assert in_options(InvalidError(detail, param=param), options) == expected
