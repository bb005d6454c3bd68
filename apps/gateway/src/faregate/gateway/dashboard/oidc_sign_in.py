"""Sign-in to the dashboard with an OpenID Connect issuer."""

import base64
import json
from dataclasses import asdict
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from faregate.core.access.audit import AuditLog, Deed
from faregate.core.access.web_sessions import WebSessionStore
from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.gateway.dashboard.oidc import OidcAttempt, OidcClient
from faregate.gateway.dashboard.pages import HEADERS, ROOT
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.client_address import address_of
from faregate.gateway.security.sessions import SessionAuthenticator, with_cookie

__all__ = ["OidcSignIn"]

log = get_logger(__name__)

_PATH = f"{ROOT}/sign-in/oidc"
_CALLBACK = f"{_PATH}/callback"
_COOKIE = "faregate_oidc"
_SECONDS = 600
_FAILED = f"{ROOT}?sign_in=failed"


class OidcSignIn:
    """Sends browsers to the issuer, and opens a session for those that come back with a valid answer."""

    def __init__(
        self,
        client: OidcClient | None,
        database: Database,
        sessions: WebSessionStore,
        authenticator: SessionAuthenticator,
        audit: AuditLog,
        public_url: str | None,
    ) -> None:
        self._client = client
        self._database = database
        self._sessions = sessions
        self._authenticator = authenticator
        self._audit = audit
        self._public_url = public_url

    def routes(self) -> list[BaseRoute]:
        """Return the routes; none without an issuer."""
        if self._client is None:
            return []
        return [Route(_PATH, self._begin), Route(_CALLBACK, self._finish)]

    async def _begin(self, request: Request) -> Response:
        assert self._client is not None  # noqa: S101  there is no route without it
        try:
            address, attempt = await self._client.begin(self._redirect_uri(request))
        except EngineUnavailableError:
            return RedirectResponse(_FAILED, 303, headers=dict(HEADERS))
        answer = RedirectResponse(address, 303, headers=dict(HEADERS))
        kept = _packed({**asdict(attempt), "to": _own_page(request.query_params.get("to", ""))})
        answer.set_cookie(
            _COOKIE, kept, max_age=_SECONDS, path=_PATH, secure=self._is_secure(request), httponly=True, samesite="lax"
        )
        return answer

    async def _finish(self, request: Request) -> Response:
        assert self._client is not None  # noqa: S101  there is no route without it
        kept, query = _unpacked(request.cookies.get(_COOKIE, "")), request.query_params
        try:
            attempt = OidcAttempt(str(kept["state"]), str(kept["nonce"]), str(kept["verifier"]))
            found = await self._client.finish(
                attempt,
                code=query.get("code", ""),
                state=query.get("state", ""),
                redirect_uri=self._redirect_uri(request),
            )
        except (KeyError, UnauthenticatedError, EngineUnavailableError) as error:
            log.warning("oidc_sign_in_failed", reason=str(error), answer=query.get("error", "")[:200])
            return RedirectResponse(_FAILED, 303, headers=dict(HEADERS))
        async with self._database.transaction() as session:
            token, opened = await self._sessions.open(session, self._authenticator.spec(found))
            await self._audit.add(session, _deed(request, found.user_id))
        answer = RedirectResponse(_own_page(str(kept.get("to", ""))), 303, headers=dict(HEADERS))
        answer.delete_cookie(_COOKIE, path=_PATH)
        return with_cookie(answer, token, opened, secure=self._is_secure(request))

    def _redirect_uri(self, request: Request) -> str:
        base = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        return f"{base}{_CALLBACK}"

    def _is_secure(self, request: Request) -> bool:
        return (self._public_url or request.url.scheme).startswith("https")


def _deed(request: Request, user_id: str | None) -> Deed:
    address = address_of(request.client.host) if request.client else None
    return Deed(
        actor="user",
        actor_user_id=user_id,
        action="session.sign_in",
        status=303,
        request_id=request.scope["state"]["request_id"],
        target={"by": "oidc"},
        address=str(address) if address is not None else None,
    )


def _own_page(address: str) -> str:
    """Return the address if it is a page of the dashboard, else its first page: no other site can be named."""
    is_own = address == ROOT or address.startswith((f"{ROOT}/", f"{ROOT}?"))
    return address if is_own and "\\" not in address and len(address) < 2000 and address.isprintable() else ROOT


def _packed(value: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unpacked(text: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
