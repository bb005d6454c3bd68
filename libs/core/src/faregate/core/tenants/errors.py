"""Errors of tenants."""

from faregate.core.errors import FaregateError, NotFoundError

__all__ = ["TenantExistsError", "TenantSuspendedError", "UnknownTenantError"]


class UnknownTenantError(NotFoundError):
    """No tenant has this key, is served at this host or has issued this API key."""

    code = "unknown_tenant"


class TenantSuspendedError(FaregateError):
    """The tenant is suspended, or its tables are not complete yet; nothing of it is served."""

    code = "tenant_suspended"


class TenantExistsError(FaregateError):
    """Another tenant has this key, schema or host already."""

    code = "tenant_exists"
