"""Principals, scopes and roles of callers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from faregate.core.access.portal_links import PortalLink
from faregate.core.db.subjects import PERSON
from faregate.gateway.errors import ForbiddenError, ScopeMissingError

__all__ = [
    "ALL_SCOPES",
    "ROLE_SCOPES",
    "IAuthenticator",
    "Principal",
    "Role",
    "Scope",
    "bearer_token",
    "person",
]


class Scope(StrEnum):
    """A permission of a credential."""

    CREDITS_PROCESS = "credits:process"
    USAGE_WRITE = "usage:write"
    USAGE_READ = "usage:read"
    WALLETS_READ = "wallets:read"
    WALLETS_WRITE = "wallets:write"
    FEATURES_WRITE = "features:write"
    PRICES_WRITE = "prices:write"
    QUOTAS_WRITE = "quotas:write"
    REPORTS_WRITE = "reports:write"
    LOGS_WRITE = "logs:write"
    LOGS_READ = "logs:read"
    ANALYTICS_READ = "analytics:read"
    KEYS_ADMIN = "keys:admin"
    WEBHOOKS_ADMIN = "webhooks:admin"
    OPS_READ = "ops:read"
    OPS_WRITE = "ops:write"
    DEAD_LETTERS_READ = "dead-letters:read"
    PRIVACY_READ = "privacy:read"


ALL_SCOPES = frozenset(Scope)


class Role(StrEnum):
    """The role of a person."""

    ADMIN = "admin"
    ANALYST = "analyst"
    USER = "user"


ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.ADMIN: ALL_SCOPES,
    Role.ANALYST: frozenset({Scope.USAGE_READ, Scope.WALLETS_READ, Scope.ANALYTICS_READ, Scope.OPS_READ}),
    Role.USER: frozenset(),
}
"""Scopes of people, by role. Users have no scope: they may make calls for their own data (`own=`)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller. `id` names the credential in the audit log and separates its idempotency keys from others.

    Attributes:
        user_id, organization_id: the person and their organisation, if the credential is a person's.
        key_id: the id of the API key, if it is one of the database.
        line: the client of that key, then the clients that it descends from; the oldest is last.
        portal: the link of the customers' page, if the caller has nothing else.
        session: the token of the browser's session, if the request was authenticated by one.
        sign_in_link: the token of a link that signs in, if the caller has nothing else.
    """

    id: str
    scopes: frozenset[Scope]
    user_id: str | None = None
    organization_id: str | None = None
    roles: frozenset[Role] = frozenset()
    key_id: str | None = None
    line: tuple[str, ...] = ()
    session: str | None = None
    portal: PortalLink | None = None
    sign_in_link: str | None = None

    def may(self, scope: Scope | None) -> bool:
        """Tell whether the credential has this scope."""
        return scope is not None and scope in self.scopes

    def enter(self, scope: Scope | None, *, own: str | None = None) -> None:
        """Raise unless the credential has this scope, or is a person's and the call is for the data of that person.

        Raises:
            ScopeMissingError, ForbiddenError.
        """
        if self.may(scope) or (own is not None and self.user_id is not None):
            return
        if scope is None:
            raise ForbiddenError(
                "This call is for people; send a user's token in the Authorization header, after the word Bearer"
            )
        raise ScopeMissingError(scope.value)


def person(user_id: str, roles: Iterable[Role], *, organization_id: str | None = None) -> Principal:
    """Return a person with these roles."""
    held = frozenset(roles) or frozenset({Role.USER})
    scopes = frozenset[Scope]().union(*(ROLE_SCOPES[role] for role in held))
    return Principal(f"{PERSON}{user_id}", scopes, user_id, organization_id, held)


@runtime_checkable
class IAuthenticator(Protocol):
    """Authenticates callers."""

    async def authenticate(self, headers: Mapping[str, str], *, address: str | None) -> Principal:
        """Return the principal of these headers from this network address, or raise `UnauthenticatedError`."""
        ...


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token after `Bearer` in the Authorization header."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
