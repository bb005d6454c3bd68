"""Public keys of the identity provider (JWKS).

They are fetched rarely, and kept for a day while fetches fail.
"""

import asyncio
import json
import ssl
from typing import Any, cast

import httpx2
import jwt

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.runtime.trusted_authorities import trusted_authorities
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.key_set_problems import key_set_problem

__all__ = ["KeySet"]

log = get_logger(__name__)

_COOL_DOWN_SECONDS = 30.0
"""The least time between two fetches, whatever key ids the callers send."""

_REFRESH_SECONDS = 300.0
"""The time after which keys are fetched again, so that a withdrawn key is not accepted for long."""

_KEPT_SECONDS = 24 * 3600.0
"""How long keys are valid while fetches fail: an outage does not end sessions, and no session lasts for ever."""

_TIMEOUT_SECONDS = 5.0
"""The timeout of the whole fetch, also if the answer arrives slowly."""

_SIZE_LIMIT = 512 * 1024
_KEYS_LIMIT = 100
_RSA_BITS = range(2048, 8193)
_SYMMETRIC = ("HS", "none")


class KeySet:
    """The JSON Web Key Set at `url`."""

    def __init__(
        self,
        url: str,
        *,
        cool_down_seconds: float = _COOL_DOWN_SECONDS,
        refresh_seconds: float = _REFRESH_SECONDS,
        kept_seconds: float = _KEPT_SECONDS,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._cool_down_seconds = cool_down_seconds
        self._refresh_seconds = refresh_seconds
        self._kept_seconds = kept_seconds
        self._timeout_seconds = timeout_seconds
        self._keys: dict[str | None, Any] = {}
        self._may_fetch = Deadline(0)
        self._stale = Deadline(0)
        self._expired = Deadline(0)
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None) -> Any:
        """Return the key of this id (the only key, for a token that names none).

        Raises:
            UnauthenticatedError: there is no such key.
            EngineUnavailableError: no key was ever fetched, or the last fetch is more than a day ago.
        """
        found = self._find(key_id)
        if found is None:
            await self._fetch_unless_cooling()
            found = self._find(key_id)
        elif self._stale.passed and self._may_fetch.passed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._fetch_unless_cooling())
        if found is not None:
            return found
        if not self._keys:
            raise EngineUnavailableError("the keys of the identity provider cannot be fetched; try again")
        raise UnauthenticatedError("The token is signed with a key that the identity provider does not publish")

    async def check(self) -> int:
        """Fetch the keys now, and return their number.

        Raises:
            EngineUnavailableError: they cannot be fetched or used; the text names the URL, the reason and the fix.
        """
        try:
            await self._fetch_now()
        except Exception as error:
            raise EngineUnavailableError(key_set_problem(error, self._url)) from error
        return len(self._keys)

    def _find(self, key_id: str | None) -> Any:
        if self._keys and self._expired.passed:
            log.error("jwks_expired", url=self._url, reason="no key set could be fetched for too long")
            self._keys = {}
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetch_unless_cooling(self) -> None:
        async with self._lock:
            if not self._may_fetch.passed:
                return
            self._may_fetch = Deadline(self._cool_down_seconds)
            try:
                await self._fetch_now()
            except Exception as error:  # noqa: BLE001  no answer of the provider may refuse tokens whose key is known
                log.warning("jwks_fetch_failed", reason=key_set_problem(error, self._url))

    async def _fetch_now(self) -> None:
        async with asyncio.timeout(self._timeout_seconds):
            document = await self._fetch(await trusted_authorities())
        self._keys = _usable(document)
        self._stale = Deadline(self._refresh_seconds)
        self._expired = Deadline(self._kept_seconds)

    async def _fetch(self, trusted: ssl.SSLContext) -> Any:
        async with (
            httpx2.AsyncClient(verify=trusted, timeout=self._timeout_seconds, follow_redirects=False) as http,
            http.stream("GET", self._url, headers={"accept-encoding": "identity"}) as response,
        ):
            response.raise_for_status()
            body = b""
            async for chunk in response.aiter_raw():  # not decompressed: a small answer could become a very large one
                body += chunk
                if len(body) > _SIZE_LIMIT:
                    raise ValueError("the key set is too large")
            return json.loads(body)


def _usable(document: Any) -> dict[str | None, Any]:
    """Return the signing keys by id, without weak keys and unknown kinds; of two keys with the same id, the first.

    Raises:
        ValueError: there is none; an empty key set counts as a mistake of the provider, so that sessions continue.
    """
    if not isinstance(document, dict):
        raise ValueError("the key set is not a JSON object")  # noqa: TRY004  the caller handles one type of error
    found: dict[str | None, Any] = {}
    listed = cast("dict[str, Any]", document).get("keys")
    for entry in cast("list[Any]", listed)[:_KEYS_LIMIT] if isinstance(listed, list) else []:
        key = _public_key(entry)
        if key is not None:
            found.setdefault(entry.get("kid"), key)
    if not found:
        raise ValueError("the key set holds no usable key")
    return found


def _public_key(entry: Any) -> Any:
    """Return the key of one entry, or None unless it is a sufficiently strong public key that can verify signatures."""
    if not isinstance(entry, dict):
        return None
    given = cast("dict[str, Any]", entry)
    symmetric = given.get("kty") == "oct" or str(given.get("alg", "")).startswith(_SYMMETRIC)
    if symmetric or given.get("use", "sig") != "sig" or not isinstance(given.get("kid"), str | None):
        return None
    try:
        key = jwt.PyJWK.from_dict(given).key
    except Exception:  # noqa: BLE001  an invalid entry must not invalidate the others
        return None
    key = key.public_key() if hasattr(key, "public_key") else key  # the provider published a private key
    return None if given["kty"] == "RSA" and getattr(key, "key_size", 0) not in _RSA_BITS else key
