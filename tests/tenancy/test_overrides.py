"""Settings of a tenant: what it inherits, what it has of its own, and what no two tenants may share."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.settings import Settings, isolated_settings
from faregate.core.tenants.overrides import DEPLOYMENT, OWN, PLACES, check_apart, folders_of, override_of, settings_of
from faregate.core.tenants.values import (
    Tenant,
    TenantState,
    check_host,
    check_key,
    check_schema,
    host_of,
    schema_of,
    tag_of,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
INHERITED = {
    "alert_critical_percent", "alert_exceeded_percent", "alert_warning_percent", "allow_unstarted",
    "balance_warning_pause_seconds", "batch_size", "batch_timeout_seconds", "credit_price_usd", "credit_quantum",
    "dedupe_days", "feedback_retention_days", "future_event_seconds", "graphql_cost_limit", "graphql_timeout_seconds",
    "hold_ttl_seconds", "initial_credits", "insights_quiet_hours", "insights_special_days", "insights_timezone",
    "journal_accounts", "jwt_algorithms", "kept_answers", "late_event_days", "lease_grace_seconds", "log_emails",
    "log_keys", "log_retention_days", "mail_from", "margin_percent", "oidc_scopes", "organization_claim", "packages",
    "payment_reversal", "plan_change", "portal_color", "portal_color_dark", "portal_hidden", "portal_names",
    "portal_title", "provider_name", "rate_limit_admin", "rate_limit_analyst", "rate_limit_key", "rate_limit_refused",
    "rate_limit_tenant", "rate_limit_user", "session_seconds", "smtp_url", "tenant_connections",
    "usage_retention_days", "use_reported_cost",
}  # fmt: skip
"""A new setting belongs here only if it neither lets anybody in nor names a place, an address or an engine."""


def tenant(key: str = "acme", hosts: tuple[str, ...] = ("acme.example.com",), **overrides: Any) -> Tenant:
    return Tenant(key, schema_of(key), tag_of(key), TenantState.ACTIVE, hosts, overrides, NOW, NOW)


def test_every_setting_belongs_to_exactly_one_kind() -> None:
    kinds = [DEPLOYMENT, PLACES, OWN, INHERITED]

    assert sum(len(kind) for kind in kinds) == len(Settings.model_fields)
    assert set().union(*kinds) == set(Settings.model_fields)
    paths = {name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)}
    assert paths <= PLACES | {"data_dir", "graphql_queries"}
    secrets = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert secrets <= OWN | DEPLOYMENT | {"log_keys", "smtp_url"}


def test_a_tenant_inherits_and_overrides_but_no_identity_is_inherited() -> None:
    deployment = isolated_settings(
        margin_percent=10, portal_title="Ours", server_api_key="x" * 16, jwt_secret="y" * 32, alert_emails="a@b.c",
        oidc_issuer="https://login.example.com", oidc_client_id="us", multi_tenant=True,
    )  # fmt: skip
    made = settings_of(deployment, tenant(margin_percent="30"))

    assert (made.margin_percent, made.portal_title) == (Decimal(30), "Ours")
    assert (made.db_schema, made.tenant) == ("tenant_acme", "acme")
    assert (made.server_api_key, made.jwt_secret, made.oidc_issuer, made.alert_emails) == (None, None, None, "")
    assert made.multi_tenant is False


def test_no_two_tenants_have_a_place_in_common(tmp_path: Path) -> None:
    deployment = isolated_settings(
        export_dir=tmp_path, export_to="s3://lake/all/", cache_dir=tmp_path / "c", batch_file=tmp_path / "batch.tmp",
        log_archive_dir=tmp_path / "l", usage_archive_dir=tmp_path / "u", alert_log_file=tmp_path / "alerts.log",
        columnar_dir=tmp_path / "columns",
    )  # fmt: skip
    places = [
        str(getattr(settings, name))
        for settings in (deployment, *(settings_of(deployment, tenant(key)) for key in ("a1", "a2", "a1-b")))
        for name in sorted(PLACES)
    ]

    assert len(set(places)) == len(places)
    assert "s3://lake/all/tenants/a1" in places
    for key in ("a1", "a1-b"):
        (tmp_path / "tenants" / key).mkdir(parents=True)
        (tmp_path / "l" / "tenants" / key).mkdir(parents=True)
    (tmp_path / "a1").mkdir()
    found = folders_of(settings_of(deployment, tenant("a1")))
    assert set(found) == {tmp_path / "tenants" / "a1", tmp_path / "l" / "tenants" / "a1"}
    assert folders_of(deployment) == []


@pytest.mark.parametrize(
    ("public", "hosts", "expected"),
    [
        ("https://credits.example.com:8443", ("acme.example.com",), "https://acme.example.com:8443"),
        ("http://credits.example.com", ("b.example.com", "c.example.com"), "http://b.example.com"),
        (None, ("acme.example.com",), None),
        ("https://credits.example.com", (), None),
    ],
)
def test_links_lead_to_the_tenants_own_host(public: str | None, hosts: tuple[str, ...], expected: str | None) -> None:
    assert settings_of(isolated_settings(public_url=public), tenant(hosts=hosts)).public_url == expected


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("FAREGATE_MARGIN_PERCENT=30", "margin_percent", "30"),
        ("margin_percent=", "margin_percent", None),
        ("USAGE_ALERT_WARNING=60", "alert_warning_percent", "60"),
        ('FAREGATE_PORTAL_NAMES={"model:gpt-4o":"P"}', "portal_names", {"model:gpt-4o": "P"}),
    ],
)
def test_settings_are_typed_as_variables(text: str, field: str, value: Any) -> None:
    assert override_of(text) == (field, value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FAREGATE_MARGIN=3", "is no setting"),
        ("FAREGATE_MARGIN_PERCENT", "is no setting; write it as"),
        ("FAREGATE_DB_SCHEMA=x", "the deployment's"),
        ("FAREGATE_LOG_ARCHIVE_DIR=/tmp", "its own place"),
        ("FAREGATE_PORTAL_NAMES={", "must be JSON"),
    ],
)
def test_what_a_tenant_cannot_change_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        override_of(text)


def test_a_wrong_value_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^FAREGATE_HOLD_TTL_SECONDS: "):
        settings_of(isolated_settings(), tenant(hold_ttl_seconds="0"))


@pytest.mark.parametrize(
    "own",
    [
        {"server_api_key": "k" * 16},
        {"jwt_secret": "s" * 32},
        {"jwks_url": "https://login.example.com/jwks", "jwt_audience": "both"},
        {"oidc_issuer": "https://login.example.com", "oidc_client_id": "both"},
        {"stripe_webhook_secret": "whsec_12345678"},
    ],
    ids=lambda own: next(iter(own)),
)
def test_tenants_that_would_let_each_others_callers_in_are_refused(own: dict[str, str]) -> None:
    mine, others = settings_of(isolated_settings(), replace(tenant(), overrides=own)), isolated_settings(**own)

    with pytest.raises(InvalidError, match="is also that of tenant 'beta'"):
        check_apart(tenant(), mine, {"beta": others})
    check_apart(tenant(), mine, {"beta": isolated_settings(), "acme": mine})


def test_an_issuers_keys_need_an_audience() -> None:
    with pytest.raises(InvalidError, match="needs FAREGATE_JWT_AUDIENCE"):
        check_apart(tenant(), isolated_settings(jwks_url="https://login.example.com/jwks"), {})


@pytest.mark.parametrize("key", ["", "a", "A1", "1a", "a_b", "a-", "x" * 31, "a.b", "a b"])
def test_wrong_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidError, match="is no key of a tenant"):
        check_key(key)


@pytest.mark.parametrize("schema", ["public", "pg_x", "A", "x-y", 'a"b', "tenant_a_bi", "tenant_a_aside", "x" * 64])
def test_schemas_of_others_are_refused(schema: str) -> None:
    with pytest.raises(InvalidError):
        check_schema(schema)


@pytest.mark.parametrize("host", ["", "https://a.com", "a.com:80", "a b", "-a.com", "a..b", "*", "a_b.com"])
def test_wrong_hosts_are_refused(host: str) -> None:
    with pytest.raises(InvalidError, match="is no host name"):
        check_host(host)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Acme.Example.com:8080", "acme.example.com"),
        ("acme.example.com.", "acme.example.com"),
        ("[::1]:80", "[::1]:80"),
        ("", ""),
    ],
)
def test_the_host_header_is_compared_without_port_and_case(header: str, host: str) -> None:
    assert host_of(header) == host
