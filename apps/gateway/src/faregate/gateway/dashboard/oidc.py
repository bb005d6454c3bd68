"""Client of an OpenID Connect issuer: authorisation code with PKCE."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, cast
from urllib.parse import urlencode

import httpx2

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.runtime.trusted_authorities import trusted_authorities
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.auth import Principal
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.security.tokens import TokenRules, Tokens, person_of_claims

__all__ = ["OidcAttempt", "OidcClient"]

log = get_logger(__name__)

_TIMEOUT_SECONDS = 10.0
_KNOWN_SECONDS = 3600.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class OidcAttempt:
    """One attempt to sign in: its secrets stay with the browser that began it."""

    state: str
    nonce: str
    verifier: str


class OidcClient:
    """Signs people in with an issuer. The roles are those of the ID token's claims, as in the API's tokens."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str | None, scopes: str, algorithms: Sequence[str]
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._algorithms = algorithms
        self._known: Mapping[str, str] | None = None
        self._stale = Deadline(0)
        self._tokens: Tokens | None = None

    async def begin(self, redirect_uri: str) -> tuple[str, OidcAttempt]:
        """Return the address of the issuer to send the browser to, and the attempt."""
        endpoints = await self._endpoints()
        attempt = OidcAttempt(token_urlsafe(24), token_urlsafe(24), token_urlsafe(48))
        challenge = base64.urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": self._scopes,
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        address = endpoints["authorization_endpoint"]
        return f"{address}{'&' if '?' in address else '?'}{query}", attempt

    async def finish(self, attempt: OidcAttempt, *, code: str, state: str, redirect_uri: str) -> Principal:
        """Return the person for whom the issuer gave this code.

        Raises:
            UnauthenticatedError: the answer belongs to another attempt, or the issuer refuses the code, or its token is not valid.
            EngineUnavailableError: the issuer does not answer.
        """
        if not hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "surrogateescape")):
            raise UnauthenticatedError("This sign-in was begun elsewhere; begin again")
        endpoints = await self._endpoints()
        token = await self._redeemed(endpoints["token_endpoint"], code, attempt.verifier, redirect_uri)
        assert self._tokens is not None  # noqa: S101  set together with the endpoints
        claims = await self._tokens.claims(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise UnauthenticatedError("The issuer's token belongs to another sign-in; begin again")
        return person_of_claims(claims)

    async def _redeemed(self, address: str, code: str, verifier: str, redirect_uri: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": verifier,
            **({"client_secret": self._client_secret} if self._client_secret else {}),
        }
        status, answer = await self._fetch("POST", address, form)
        token = answer.get("id_token")
        if status >= 400 or not isinstance(token, str):
            log.warning("oidc_refused", status=status, error=str(answer.get("error"))[:200])
            raise UnauthenticatedError("The issuer refused the sign-in; begin again")
        return token

    async def _endpoints(self) -> Mapping[str, str]:
        if self._known is None or self._stale.passed:
            status, found = await self._fetch("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            missing = [name for name in _ENDPOINTS if not isinstance(found.get(name), str)]
            if status >= 400 or missing or found.get("issuer") != self._issuer:
                log.error("oidc_configuration", issuer=self._issuer, status=status, missing=missing)
                raise EngineUnavailableError(
                    "the OpenID Connect issuer does not describe itself; see the gateway's log"
                )
            rules = TokenRules(self._algorithms, self._issuer, self._client_id)
            self._tokens = Tokens(KeySet(found["jwks_uri"]), rules)
            self._known, self._stale = {name: found[name] for name in _ENDPOINTS}, Deadline(_KNOWN_SECONDS)
        return self._known

    async def _fetch(
        self, method: str, address: str, form: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        trusted = await trusted_authorities()
        try:
            async with httpx2.AsyncClient(verify=trusted, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as http:
                response = await http.request(method, address, data=form, headers={"accept": "application/json"})
                found = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("oidc_unreachable", address=address, reason=f"{type(error).__name__}: {error}")
            raise EngineUnavailableError("the OpenID Connect issuer does not answer; try again") from error
        return response.status_code, cast("dict[str, Any]", found) if isinstance(found, dict) else {}
