"""Who calls: from headers to a principal with scopes."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Protocol, runtime_checkable

from faregate.gateway.errors import ForbiddenError, ScopeMissingError, UnauthenticatedError

__all__ = ["ALL_SCOPES", "BootstrapKey", "IAuthenticator", "Principal", "Scope", "bearer_token"]


class Scope(StrEnum):
    """What a credential may be allowed."""

    CREDITS_PROCESS = "credits:process"
    USAGE_WRITE = "usage:write"
    USAGE_READ = "usage:read"
    WALLETS_READ = "wallets:read"
    WALLETS_WRITE = "wallets:write"
    FEATURES_WRITE = "features:write"
    PRICES_WRITE = "prices:write"
    QUOTAS_WRITE = "quotas:write"
    LOGS_WRITE = "logs:write"
    LOGS_READ = "logs:read"
    ANALYTICS_READ = "analytics:read"
    KEYS_ADMIN = "keys:admin"
    WEBHOOKS_ADMIN = "webhooks:admin"
    OPS_READ = "ops:read"
    OPS_WRITE = "ops:write"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as far as the credential proves it. `id` names the credential in audits and keeps its keys apart.

    Attributes:
        user_id: the person, where the credential is a person's.
    """

    id: str
    scopes: frozenset[Scope]
    user_id: str | None = None

    def may(self, scope: Scope | None) -> bool:
        """Tell whether the credential has this scope."""
        return scope is not None and scope in self.scopes

    def enter(self, scope: Scope | None, *, own: str | None = None) -> None:
        """Raise unless the credential has this scope, or is a person's and the call is for people's own data.

        Raises:
            ScopeMissingError, ForbiddenError.
        """
        if self.may(scope) or (own is not None and self.user_id is not None):
            return
        if scope is None:
            raise ForbiddenError("This call is for people; send a user's token as Authorization: Bearer …")
        raise ScopeMissingError(scope.value)


@runtime_checkable
class IAuthenticator(Protocol):
    """Proves who calls."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return who sent these headers, or raise `UnauthenticatedError`."""
        ...


class BootstrapKey:
    """The one server API key of `FAREGATE_SERVER_API_KEY`, with all scopes."""

    def __init__(self, key: str | None) -> None:
        self._digest = sha256(key.encode()).digest() if key else None

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        given = headers.get("x-server-api-key") or bearer_token(headers)
        if not given:
            raise UnauthenticatedError("Send a server API key as x-server-api-key, or as Authorization: Bearer …")
        digest = sha256(given.encode()).digest()
        if not hmac.compare_digest(digest, self._digest or bytes(32)) or self._digest is None:
            raise UnauthenticatedError(
                "This server API key is not known; check it for missing characters, or ask for a new one"
            )
        return Principal("bootstrap", ALL_SCOPES)


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return what stands behind `Bearer` in the Authorization header."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
