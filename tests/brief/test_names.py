"""Every name that the older documents use is understood: as a setting, as a command, as a path."""

from pathlib import Path

import pytest
from brief.names import FUNCTIONS

from faregate.cli.main import command_line
from faregate.cli.older_names import OLDER_NAMES as COMMANDS
from faregate.cli.older_names import command_meant
from faregate.core.settings import Settings, load_settings, variable_names
from faregate.gateway.http.path_hints import OLDER_NAMES as PATHS
from faregate.gateway.http.path_hints import path_meant

ROOT = Path(__file__).parents[2]

VARIABLES = {
    "USAGE_BATCH_SIZE": "batch_size",
    "USAGE_BATCH_TIMEOUT": "batch_timeout_seconds",
    "USAGE_BATCH_FILE": "batch_file",
    "USAGE_ALERT_WARNING": "alert_warning_percent",
    "USAGE_ALERT_CRITICAL": "alert_critical_percent",
    "USAGE_ALERT_EXCEEDED": "alert_exceeded_percent",
    "BILLING_DATA_DIR": "data_dir",
    "BILLING_CACHE_DIR": "cache_dir",
    "BILLING_EXPORT_DIR": "export_dir",
}
"""Each environment variable of the documents that is a setting. NSELF_ROOT is none: it only stands in a default of theirs."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_understood_where_a_command_is_expected(name: str) -> None:
    short = name.removeprefix("usage_")

    assert command_meant([name]) == command_meant([name.replace("_", "-"), "more"]) == f"faregate {COMMANDS[name]}"
    assert name == short or command_meant(["usage", short]) == command_meant([name])


@pytest.mark.parametrize("meant", sorted(set(COMMANDS.values())))
def test_every_command_that_is_suggested_is_accepted(meant: str) -> None:
    command_line().parse_args(meant.split(), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_understood_where_a_path_is_expected(name: str) -> None:
    assert path_meant(f"/api/{name}", []) == path_meant(f"/{name.replace('_', '-')}/", []) == PATHS[name]


@pytest.mark.parametrize("typed", [[], ["usage"], ["wallets"], ["usage", "--help"], ["frobnicate"]])
def test_what_is_no_older_name_is_left_alone(typed: list[str]) -> None:
    assert command_meant(typed) is None


@pytest.mark.parametrize(("variable", "field"), VARIABLES.items())
def test_a_variable_is_understood_and_listed_on_the_page_of_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str, field: str
) -> None:
    example = (Settings.model_fields[field].examples or [""])[0]
    monkeypatch.setenv(variable, str(example))

    assert str(getattr(load_settings(), field)) in {str(example), f"{example}.0"}
    listed = "<br>".join(f"`{name}`" for name in variable_names(field))
    assert f"`{variable}`" in listed
    assert f"| {listed} |" in (ROOT / "docs" / "reference" / "settings.md").read_text()


def test_the_batch_file_is_where_events_wait_for_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_CACHE_DIR", "/cache")
    alone = load_settings().spool_file
    monkeypatch.setenv("USAGE_BATCH_FILE", "/cache/usage_batch.tmp")

    assert (alone, load_settings().spool_file) == (Path("/cache/usage-events.ndjson"), Path("/cache/usage_batch.tmp"))
