"""Choice of the tenant of a request, by host or API key."""

from starlette.datastructures import Headers

from faregate.core.access.key_format import TAG_LENGTH, parse_key
from faregate.core.tenants.errors import TenantSuspendedError, UnknownTenantError
from faregate.core.tenants.values import Tenant, Tenants, host_of
from faregate.gateway.security.auth import bearer_token

__all__ = ["tenant_of"]


def tenant_of(headers: Headers, tenants: Tenants) -> Tenant:
    """Return the tenant of the host; at a host that belongs to none, the tenant that has issued the API key.

    At a tenant's host the key is not looked at, so that keys of other tenants are unknown there.

    Raises:
        UnknownTenantError: neither names a tenant.
        TenantSuspendedError: the tenant is not served now.
    """
    found = tenants.by_host.get(host_of(headers.get("host", ""))) or _by_key(headers, tenants)
    if found is None:
        raise UnknownTenantError(
            "No tenant is served at this host; call the host of yours, or send an API key that your tenant has issued"
        )
    if not found.is_active:
        raise TenantSuspendedError("This tenant is suspended; ask the operator of this service")
    return found


def _by_key(headers: Headers, tenants: Tenants) -> Tenant | None:
    key = parse_key(headers.get("x-server-api-key") or bearer_token(headers) or "")
    return tenants.by_tag.get(key.key_id[:TAG_LENGTH]) if key is not None else None
