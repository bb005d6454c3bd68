"""Settings come typed from the environment, and all mistakes are told at once."""

from decimal import Decimal
from pathlib import Path

import pytest

from faregate.core.errors import ConfigurationError
from faregate.core.settings import Settings, load_settings, variable_name


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(("FAREGATE_", "USAGE_")):
            monkeypatch.delenv(name)


def test_everything_has_a_default() -> None:
    settings = load_settings()

    assert settings.database_url is None
    assert (settings.credit_price_usd, settings.margin_percent, settings.credit_quantum) == (
        Decimal("0.01"),
        Decimal(20),
        Decimal("0.000001"),
    )


def test_variables_are_read_typed_and_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_CREDIT_PRICE_USD", "0.00001")
    monkeypatch.setenv("FAREGATE_DATA_DIR", "/tmp/x")
    monkeypatch.setenv("FAREGATE_PORT", "0")

    settings = load_settings()

    assert (settings.credit_price_usd, settings.data_dir, settings.port) == (Decimal("0.00001"), Path("/tmp/x"), 0)


@pytest.mark.parametrize("name", ["USAGE_BATCH_SIZE", "FAREGATE_USAGE_BATCH_SIZE"])
def test_the_names_of_the_older_documents_are_accepted_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "500")

    assert load_settings().batch_size == 500


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_BROKER_URL", "")

    assert load_settings().broker_url is None


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_PORT", "1000")

    assert load_settings(port=2000).port == 2000


def test_all_mistakes_are_told_at_once_by_variable_with_an_example_and_without_the_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAREGATE_DATABASE_URL", "mysql://root:hunter2@db/x")
    monkeypatch.setenv("FAREGATE_PORT", "seventy")
    monkeypatch.setenv("USAGE_BATCH_TIMEOUT", "-1")
    monkeypatch.setenv("FAREGATE_DB_SCHEMA", "public")

    with pytest.raises(ConfigurationError) as wrong:
        load_settings()

    lines = wrong.value.detail.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        "FAREGATE_DATABASE_URL",
        "FAREGATE_DB_SCHEMA",
        "FAREGATE_PORT",
        "FAREGATE_USAGE_BATCH_TIMEOUT",
    ]
    assert all("e.g. FAREGATE_" in line for line in lines)
    assert "hunter2" not in wrong.value.detail


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "hunter22hunter22" not in repr(load_settings(server_api_key="hunter22hunter22"))


def test_every_setting_says_what_it_means_and_gives_an_example_that_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.examples, name
        with monkeypatch.context() as environment:
            environment.setenv(variable_name(name), str(field.examples[0]))
            load_settings()
        assert variable_name(name).startswith("FAREGATE_")
