"""Settings of a tenant, composed of the deployment's and its own.

Each setting belongs to one of four kinds, which a test compares with the model: settings of the deployment, which no tenant
changes; places, of which each tenant has its own below those of the deployment; identities and addresses, which no tenant
inherits; and the others, which a tenant inherits and may change.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin
from urllib.parse import urlsplit

from pydantic import SecretStr

from faregate.core.errors import InvalidError
from faregate.core.settings import Settings, isolated_settings, variable_name, variable_names
from faregate.core.tenants.values import Tenant
from faregate.wire import exact_json
from faregate.wire.errors import MalformedError

__all__ = ["DEPLOYMENT", "OWN", "PLACES", "check_apart", "folders_of", "override_of", "settings_of"]

DEPLOYMENT = frozenset(
    {
        "access_log",
        "broker_url",
        "clickhouse_url",
        "columnar_memory_mb",
        "columnar_threads",
        "data_dir",
        "database_url",
        "db_lock_timeout_seconds",
        "db_pool_size",
        "db_schema",
        "db_statement_timeout_seconds",
        "direct_database_url",
        "export_s3_access_key",
        "export_s3_endpoint",
        "export_s3_region",
        "export_s3_secret_key",
        "graphql_queries",
        "graphql_registered_only",
        "host",
        "key_pepper",
        "log_format",
        "log_level",
        "multi_tenant",
        "otel_endpoint",
        "port",
        "queue_type",
        "read_database_url",
        "read_lag_seconds",
        "redis_url",
        "settle_batch_size",
        "strategies",
        "stripe_api_url",
        "tenant",
        "tenant_idle_seconds",
        "trusted_proxies",
        "webhook_allow_private",
        "worker_port",
    }
)
"""What concerns the process and its engines, or would let one tenant reach what others use."""

PLACES = frozenset(
    {
        "alert_log_file",
        "batch_file",
        "cache_dir",
        "columnar_dir",
        "export_dir",
        "export_to",
        "log_archive_dir",
        "usage_archive_dir",
    }
)

_FILES = frozenset({"alert_log_file", "batch_file"})
"""Places that are files; the others are folders."""

_FOLDER = "tenants"
"""Folder of the folders of tenants: the key of a tenant never names a folder of the deployment."""

OWN = frozenset(
    {
        "alert_emails",
        "alert_slack_url",
        "alert_webhook_secret",
        "alert_webhook_url",
        "cors_origins",
        "jwks_url",
        "jwt_audience",
        "jwt_issuer",
        "jwt_secret",
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_issuer",
        "public_url",
        "server_api_key",
        "stripe_api_key",
        "stripe_webhook_secret",
        "top_up_provider",
    }
)
"""Inherited, they would let in at one tenant who belongs to another, or send data of a tenant to the operator's own addresses."""

_APART = (
    ("server_api_key",),
    ("jwt_secret",),
    ("jwks_url", "jwt_audience"),
    ("oidc_issuer", "oidc_client_id"),
    ("stripe_webhook_secret",),
)
"""Settings that no two tenants may have in common: a credential of one would be accepted at the other."""


def settings_of(deployment: Settings, tenant: Tenant) -> Settings:
    """Return the settings of a tenant.

    Raises:
        ConfigurationError: as `load_settings`; the text names the variable, and does not repeat secrets.
    """
    inherited = {name: getattr(deployment, name) for name in Settings.model_fields if name not in OWN}
    places = {name: _place(name, inherited[name], tenant.key) for name in PLACES}
    own = {"public_url": _public_url(deployment.public_url, tenant), **tenant.overrides}
    fixed = {"db_schema": tenant.schema, "tenant": tenant.key, "multi_tenant": False}
    return isolated_settings(**{**inherited, **places, **own, **fixed})


def folders_of(settings: Settings) -> list[Path]:
    """Return the folders on this machine that belong to the tenant of `settings` alone, as far as they exist."""
    places = {name: getattr(settings, name) for name in sorted(PLACES)}
    local = [(name, Path(place)) for name, place in places.items() if place is not None and "://" not in str(place)]
    folders = [path.parent if name in _FILES else path for name, path in local]
    return [path for path in dict.fromkeys(folders) if path.is_dir() and path.parts[-2:] == (_FOLDER, settings.tenant)]


def override_of(text: str) -> tuple[str, Any]:
    """Return the field and the value of `NAME=VALUE`, as it is typed; the value is None if it is empty.

    Raises:
        InvalidError: there is no such setting, or tenants cannot change it.
    """
    name, equals, value = text.partition("=")
    field = next((each for each in Settings.model_fields if name in {each, *variable_names(each)}), None)
    if field is None or not equals:
        raise InvalidError(f"{name!r} is no setting; write it as FAREGATE_MARGIN_PERCENT=30", param="settings")
    if field in DEPLOYMENT | PLACES:
        why = (
            "each tenant has its own place below that of the deployment"
            if field in PLACES
            else "it is the deployment's"
        )
        raise InvalidError(f"{variable_name(field)} cannot be set for one tenant: {why}", param="settings")
    if not value:
        return field, None
    return field, _json(field, value) if _is_json(field) else value


def check_apart(tenant: Tenant, settings: Settings, others: Mapping[str, Settings]) -> None:
    """Check that no credential of another tenant is accepted at this one.

    Raises:
        InvalidError: they share a secret, or take tokens of one issuer for the same audience.
    """
    if settings.jwks_url is not None and settings.jwt_audience is None:
        raise InvalidError(
            "FAREGATE_JWKS_URL of a tenant needs FAREGATE_JWT_AUDIENCE; otherwise tokens for other tenants are accepted",
            param="settings",
        )
    for fields in _APART:
        mine = _values(settings, fields)
        same = [key for key, other in others.items() if key != tenant.key and mine and _values(other, fields) == mine]
        if same:
            names = " and ".join(variable_name(name) for name in fields)
            raise InvalidError(
                f"{names} is also that of tenant {same[0]!r}: credentials of one would be accepted at the other; give each its "
                "own",
                param="settings",
            )


def _values(settings: Settings, fields: Sequence[str]) -> tuple[str, ...] | None:
    found = [getattr(settings, name) for name in fields]
    if any(value is None for value in found):
        return None
    return tuple(value.get_secret_value() if isinstance(value, SecretStr) else str(value) for value in found)


def _place(name: str, place: Any, key: str) -> Any:
    """Return the place of one tenant below a place of the deployment; None if the deployment has none."""
    if place is None:
        return None
    if isinstance(place, str):
        return f"{place.rstrip('/')}/{_FOLDER}/{key}"
    path = Path(place)
    return path.parent / _FOLDER / key / path.name if name in _FILES else path / _FOLDER / key


def _public_url(deployment: str | None, tenant: Tenant) -> str | None:
    """Return the deployment's address with the tenant's host in place of its own; None if one of them has none."""
    if deployment is None or not tenant.hosts:
        return None
    parts = urlsplit(deployment)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{tenant.hosts[0]}{port}"


def _is_json(field: str) -> bool:
    annotation = Settings.model_fields[field].annotation
    return get_origin(annotation) in {dict, list}


def _json(field: str, value: str) -> Any:
    try:
        return exact_json.loads(value.encode())
    except MalformedError as error:
        raise InvalidError(f"{variable_name(field)} must be JSON: {error.detail}", param="settings") from None
