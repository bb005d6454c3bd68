"""The identity provider's public keys: fetched when needed, seldom, and never lost because a fetch fails."""

import asyncio
import json
from typing import Any, cast

import httpx2
import jwt

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.gateway.errors import UnauthenticatedError

__all__ = ["KeySet"]

log = get_logger(__name__)

_COOL_DOWN_SECONDS = 30.0
"""Between two fetches, whatever key ids the callers make up."""

_REFRESH_SECONDS = 300.0
"""So that a key which was taken away is not accepted for long."""

_TIMEOUT_SECONDS = 5.0
_SIZE_LIMIT = 512 * 1024
_KEYS_LIMIT = 100
_RSA_BITS_MIN = 2048


class KeySet:
    """The JSON Web Key Set at `url`."""

    def __init__(
        self, url: str, *, cool_down_seconds: float = _COOL_DOWN_SECONDS, refresh_seconds: float = _REFRESH_SECONDS
    ) -> None:
        self._url = url
        self._cool_down_seconds = cool_down_seconds
        self._refresh_seconds = refresh_seconds
        self._keys: dict[str | None, Any] = {}
        self._may_fetch = Deadline(0)
        self._stale = Deadline(0)
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None) -> Any:
        """Return the key of this id (the only key, for a token that names none).

        Raises:
            UnauthenticatedError: there is no such key.
            EngineUnavailableError: no key was ever fetched.
        """
        found = self._find(key_id)
        if found is None:
            await self._fetch_unless_cooling()
            found = self._find(key_id)
        elif self._stale.passed and self._may_fetch.passed:
            self._refreshing = asyncio.create_task(self._fetch_unless_cooling())
        if found is not None:
            return found
        if not self._keys:
            raise EngineUnavailableError("the keys of the identity provider cannot be fetched; try again")
        raise UnauthenticatedError("The token is signed with a key that the identity provider does not publish")

    def _find(self, key_id: str | None) -> Any:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetch_unless_cooling(self) -> None:
        async with self._lock:
            if not self._may_fetch.passed:
                return
            self._may_fetch = Deadline(self._cool_down_seconds)
            try:
                keys = _usable(await self._fetch())
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
                log.warning("jwks_fetch_failed", url=self._url, reason=f"{type(error).__name__}: {error}")
                return
            if keys:
                self._keys = keys
                self._stale = Deadline(self._refresh_seconds)

    async def _fetch(self) -> Any:
        async with (
            httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as http,
            http.stream("GET", self._url) as response,
        ):
            response.raise_for_status()
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _SIZE_LIMIT:
                    raise ValueError("the key set is too large")
            return json.loads(body)


def _usable(document: Any) -> dict[str | None, Any]:
    """Return the signing keys by id; of two with one id the first, and none that is too weak or of a kind unknown."""
    if not isinstance(document, dict):
        raise ValueError("the key set is no JSON object")  # noqa: TRY004  one kind of failure for whoever fetches
    found: dict[str | None, Any] = {}
    listed = cast("dict[str, Any]", document).get("keys")
    for entry in cast("list[Any]", listed)[:_KEYS_LIMIT] if isinstance(listed, list) else []:
        key = _public_key(entry)
        if key is not None:
            found.setdefault(entry.get("kid"), key)
    return found


def _public_key(entry: Any) -> Any:
    if not isinstance(entry, dict) or cast("dict[str, Any]", entry).get("use", "sig") != "sig":
        return None
    if cast("dict[str, Any]", entry).get("kty") == "oct":
        return None
    try:
        key = jwt.PyJWK.from_dict(cast("dict[str, Any]", entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return None if getattr(key, "key_size", _RSA_BITS_MIN) < _RSA_BITS_MIN and entry["kty"] == "RSA" else key
