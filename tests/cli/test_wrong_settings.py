"""Wrong settings: one line and exit code 2 from every command."""

import re
import sys
from pathlib import Path

import pytest

from faregate.cli import main as commands
from faregate.core.settings import Settings, variable_names

ISOLATED = {"demo", "tour", "bench", "chaos", "completion"}
"""Commands that run on a private deployment and ignore the caller's settings."""

CALLS = [
    ["up"],
    ["gateway"],
    ["worker"],
    ["doctor"],
    ["migrate"],
    ["verify"],
    ["replay", "requests.csv"],
    ["wallets", "list"],
    ["grants", "list", "ada"],
    ["transactions", "ada"],
    ["debit", "ada", "1", "--service", "x", "--key", "k"],
    ["refund", "00000000-0000-7000-8000-000000000000", "--reason", "r"],
    ["adjust", "ada", "1", "--reason", "r"],
    ["chargeback", "00000000-0000-7000-8000-000000000000", "--reason", "r"],
    ["payments", "list"],
    ["statement", "--from", "2026-01-01", "--to", "2026-02-01"],
    ["import", "openings.csv"],
    ["close", "list"],
    ["digest"],
    ["usage", "totals"],
    ["quotas", "status"],
    ["alerts", "list"],
    ["dlq", "list"],
    ["bills", "list"],
    ["columnar", "status"],
    ["export", "focus", "focus", "--from", "2026-01-01", "--to", "2026-02-01"],
    ["insights", "budgets"],
    ["reports", "list"],
    ["ingest", "list"],
    ["bi", "create"],
    ["logs", "search"],
    ["privacy", "export", "ada", "x.ndjson"],
    ["keys", "list"],
    ["tenants", "list"],
    ["audit"],
    ["backup", "x.dump"],
    ["restore", "openings.csv"],
    ["features", "list"],
    ["plans", "list"],
    ["prices", "check"],
    ["organizations", "list"],
]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        for name in variable_names(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(commands, "start_logging", lambda: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requests.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,1\n")
    (tmp_path / "openings.csv").write_text("owner_id,credits\nada,1\n")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, list[str]]:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["faregate", *words])
        commands.main()
    return ended.value.code, capsys.readouterr().err.splitlines()


def test_every_command_is_tested() -> None:
    assert {call[0] for call in CALLS} | ISOLATED == set(commands.COMMANDS)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_one_wrong_setting_prints_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: list[str]
) -> None:
    monkeypatch.setenv("FAREGATE_PORT", "seventy")

    code, lines = told(capsys, *call)

    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith("faregate: FAREGATE_PORT: ")
    assert "'seventy'" in lines[0]
    assert "e.g. FAREGATE_PORT=8080" in lines[0]


@pytest.mark.parametrize("command", ["gateway", "worker"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@db:port/x"),
        ("FAREGATE_BROKER_URL", "amqp://me:hunter2:x"),
        ("FAREGATE_REDIS_URL", "redis://:hunter2@:::"),
        ("FAREGATE_SMTP_URL", "hunter2"),
        ("FAREGATE_LOG_KEYS", "hunter2"),
        ("FAREGATE_STRATEGIES", "x"),
    ],
)
def test_an_invalid_address_prints_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str, value: str
) -> None:
    monkeypatch.setenv("FAREGATE_DATABASE_URL", "postgresql://nowhere.invalid/x")
    monkeypatch.setenv("FAREGATE_PORT", "0")
    monkeypatch.setenv(name, value)

    code, lines = told(capsys, command)

    assert (code, len(lines)) == (2, 1), lines
    assert name in lines[0]
    assert "hunter2" not in lines[0]


def test_several_wrong_settings_print_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAREGATE_PORT", "seventy")
    monkeypatch.setenv("FAREGATE_HOLD_TTL_SECONDS", "0")
    monkeypatch.setenv("FAREGATE_MARGIN_PERCENTS", "3")

    _, lines = told(capsys, "wallets", "list")

    assert sorted(re.findall(r"(?m)^(?:faregate: )?(\w+): ", "\n".join(lines))) == [
        "FAREGATE_HOLD_TTL_SECONDS",
        "FAREGATE_MARGIN_PERCENTS",
        "FAREGATE_PORT",
    ]


@pytest.mark.parametrize("call", [["replay", "no/such.csv"], ["usage", "record", "--file", "no/such.ndjson"]])
def test_a_missing_file_prints_one_line(capsys: pytest.CaptureFixture[str], call: list[str]) -> None:
    code, lines = told(capsys, *call)

    assert (code, lines) == (1, [f"faregate: {call[-1]}: No such file or directory"])
