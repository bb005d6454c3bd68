"""Settings are read typed from the environment, and all errors are reported at once."""

from decimal import Decimal
from pathlib import Path

import pytest

from faregate.core.errors import ConfigurationError
from faregate.core.settings import (
    Settings,
    environment_without_settings,
    isolated_settings,
    load_settings,
    variable_name,
    variable_names,
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(("FAREGATE_", "USAGE_", "BILLING_")):
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


def test_arguments_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_PORT", "1000")

    assert load_settings(port=2000).port == 2000


def test_all_errors_are_reported_at_once_with_value_and_example_but_no_secret(
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
    assert "FAREGATE_PORT: Input should be a valid integer" in wrong.value.detail
    assert ", not 'seventy' — port the gateway listens on" in wrong.value.detail


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@db:port/x"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@db:70000/x"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@[::1/x"),
        ("FAREGATE_BROKER_URL", "amqp://"),
        ("FAREGATE_BROKER_URL", "amqp://me:hunter2:x"),
        ("FAREGATE_BROKER_URL", "amqp://me:hunter2@a:5672,b:5672/"),
        ("FAREGATE_BROKER_URL", "amqp://me:hunter2@a,amqp://me:hunter2@b:0"),
        ("FAREGATE_BROKER_URL", "amqp://me:hunter2@a,amqp://"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@a:5432,b:0/x"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter2@a,b/x?sslmode=banana"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:hunter/2@a,b/x"),
        ("FAREGATE_REDIS_URL", "redis://:hunter2@:::"),
        ("FAREGATE_REDIS_URL", "redis:///0?password=hunter2"),
        ("FAREGATE_JWKS_URL", "https:///hunter2"),
        ("FAREGATE_OTEL_ENDPOINT", "http://hunter2:0"),
        ("FAREGATE_ALERT_WEBHOOK_URL", "https://:hunter2/"),
        ("FAREGATE_ALERT_SLACK_URL", "https://?hunter2"),
        ("FAREGATE_SMTP_URL", "hunter2"),
        ("FAREGATE_SERVER_API_KEY", "hunter2"),
        ("FAREGATE_KEY_PEPPER", "hunter2"),
        ("FAREGATE_JWT_SECRET", "hunter2"),
    ],
)
def test_a_wrong_address_or_secret_is_one_line_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)

    with pytest.raises(ConfigurationError, match=f"^{name}: ") as wrong:
        load_settings()

    assert len(wrong.value.detail.splitlines()) == 1
    assert "hunter2" not in wrong.value.detail
    assert f"e.g. {name}=" in wrong.value.detail


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("FAREGATE_DATABASE_URL", "postgresql:///faregate?host=/var/run/postgresql"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:p%40ss@[::1]:5432/x"),
        ("FAREGATE_DATABASE_URL", "postgresql://me:secret@a:5432,b:5433,[::1]:5432/x?target_session_attrs=primary"),
        ("FAREGATE_DATABASE_URL", "postgresql:///x?host=/run/a,/run/b&port=5432,5433"),
        ("FAREGATE_BROKER_URL", "amqps://me:secret@rabbit/vhost"),
        ("FAREGATE_BROKER_URL", "amqp://me:se,cret@a/vhost, amqp://me:secret@b:5673/vhost"),
        ("FAREGATE_REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("FAREGATE_SMTP_URL", "smtps://mail.example.com"),
    ],
)
def test_addresses_in_their_usual_forms_are_accepted(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)

    assert load_settings()


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "hunter22hunter22" not in repr(load_settings(server_api_key="hunter22hunter22"))


def test_every_setting_has_a_description_and_a_valid_example(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.examples, name
        with monkeypatch.context() as environment:
            environment.setenv(variable_name(name), str(field.examples[0]))
            load_settings()
        assert variable_name(name).startswith("FAREGATE_")


@pytest.mark.parametrize(
    ("name", "field"),
    [("BILLING_DATA_DIR", "data_dir"), ("BILLING_EXPORT_DIR", "export_dir"), ("BILLING_CACHE_DIR", "cache_dir")],
)
def test_the_directories_of_the_older_documents_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, field: str
) -> None:
    monkeypatch.setenv(name, "/somewhere")

    assert getattr(load_settings(), field) == Path("/somewhere")


def test_isolated_settings_ignore_the_environment_and_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, field in Settings.model_fields.items():
        for variable in variable_names(name):
            monkeypatch.setenv(variable, str((field.examples or [""])[0]))
    (tmp_path / ".env").write_text("FAREGATE_DATABASE_URL=postgresql://elsewhere/x\n")
    monkeypatch.chdir(tmp_path)

    found = isolated_settings()

    assert found.model_dump() == {name: field.get_default() for name, field in Settings.model_fields.items()}
    assert isolated_settings(port=0).port == 0


def test_no_file_in_the_working_directory_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FAREGATE_PORT=9999\n")
    monkeypatch.chdir(tmp_path)

    assert load_settings().port == 8080


def test_the_environment_of_an_isolated_process_has_no_setting_in_any_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [variable for name in Settings.model_fields for variable in variable_names(name)]
    for variable in [*every, "faregate_database_url", "usage_batch_size", "FAREGATE_FUTURE", "PGHOST"]:
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("KEPT", "y")

    found = environment_without_settings()

    assert not {name for name in found if name.upper().startswith(("FAREGATE_", "USAGE_", "BILLING_", "PG"))}
    assert (found["KEPT"], "PATH" in found) == ("y", True)


def test_a_misspelt_setting_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_MARGIN_PERCENTS", "30")
    monkeypatch.setenv("FAREGATE_DATABSE_URL", "postgresql://x/y")

    with pytest.raises(ConfigurationError) as wrong:
        load_settings()

    assert wrong.value.detail.splitlines() == [
        "FAREGATE_DATABSE_URL: there is no such setting; did you mean FAREGATE_DATABASE_URL?",
        "FAREGATE_MARGIN_PERCENTS: there is no such setting; did you mean FAREGATE_MARGIN_PERCENT?",
    ]


def test_variables_that_an_orchestrator_derives_from_the_prefix_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FAREGATE_SERVICE_HOST", "FAREGATE_SERVICE_PORT", "FAREGATE_PORT_8080_TCP_ADDR"):
        monkeypatch.setenv(name, "10.0.0.1")

    assert load_settings().port == Settings.model_fields["port"].default


def test_a_value_that_is_not_json_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAREGATE_JWT_ALGORITHMS", "RS256,sesame")

    with pytest.raises(
        ConfigurationError, match=r"^FAREGATE_JWT_ALGORITHMS: must be a JSON array — .*e\.g\. "
    ) as wrong:
        load_settings()

    assert "\n" not in wrong.value.detail
    assert "sesame" not in wrong.value.detail
