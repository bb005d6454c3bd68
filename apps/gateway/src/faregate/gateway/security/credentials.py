"""Authentication by bootstrap key, API key or user token."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from faregate.core.access.key_store import KeyStore
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.auth import ALL_SCOPES, Principal, Scope, bearer_token

__all__ = ["Authenticator", "ITokens"]

_KEY_PREFIX = "fg_"
_BOOTSTRAP = Principal("bootstrap", ALL_SCOPES)
_HOW = "send a server API key as x-server-api-key, or a key or a user's token in the Authorization header, after the word Bearer"


class ITokens(Protocol):
    """Verifies the tokens of people."""

    async def principal(self, token: str) -> Principal:
        """Return the person that `token` was issued to, or raise `UnauthenticatedError`."""
        ...


class Authenticator:
    """`IAuthenticator` of a deployment.

    Args:
        bootstrap_key: the key of `FAREGATE_SERVER_API_KEY`, with all scopes.
        tokens: None if the settings configure no user tokens.
    """

    def __init__(self, bootstrap_key: str | None, keys: KeyStore, tokens: ITokens | None) -> None:
        self._bootstrap = sha256(bootstrap_key.encode()).digest() if bootstrap_key else None
        self._keys = keys
        self._tokens = tokens

    async def authenticate(self, headers: Mapping[str, str], *, address: str | None) -> Principal:
        server_key = headers.get("x-server-api-key")
        given = server_key or bearer_token(headers)
        if not given:
            raise UnauthenticatedError(f"No credential; {_HOW}")
        if self._is_bootstrap(given):
            return _BOOTSTRAP
        if server_key or given.startswith(_KEY_PREFIX):
            return await self._key(given, address)
        if self._tokens is None:
            raise UnauthenticatedError("This deployment accepts no users' tokens; send a server API key")
        return await self._tokens.principal(given)

    def _is_bootstrap(self, given: str) -> bool:
        digest = sha256(given.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, self._bootstrap or bytes(32)) and self._bootstrap is not None

    async def _key(self, given: str, address: str | None) -> Principal:
        found = await self._keys.check(given)
        if found is None:
            raise UnauthenticatedError(
                "This server API key is unknown; check it for missing characters, or ask for a new one"
            )
        key = found.key
        if not key.admits(address):
            raise UnauthenticatedError("This server API key may not be used from this network address")
        scopes = frozenset(scope for scope in Scope if scope.value in key.scopes)
        return Principal(f"key:{key.key_id}", scopes, key_id=key.key_id, line=found.line)
