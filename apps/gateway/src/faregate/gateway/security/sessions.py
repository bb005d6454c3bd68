"""Sign-in of browsers: sessions by cookie, guarded against forged requests."""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from starlette.requests import Request
from starlette.responses import Response

from faregate.core.access.key_store import KeyStore
from faregate.core.access.portal_links import PORTAL_PREFIX, PortalLinks
from faregate.core.access.web_sessions import SIGN_IN_PREFIX, SessionSpec, WebSession, WebSessionStore
from faregate.gateway.errors import ForbiddenError, UnauthenticatedError
from faregate.gateway.security.auth import ALL_SCOPES, IAuthenticator, Principal, Role, Scope, bearer_token, person

__all__ = ["COOKIE", "CSRF_HEADER", "SessionAuthenticator", "check_same_site", "cleared", "csrf_token", "with_cookie"]

COOKIE = "faregate_session"
CSRF_HEADER = "x-csrf-token"
_BOOTSTRAP = "bootstrap"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGES = frozenset({"same-origin", "none"})


class SessionAuthenticator:
    """`IAuthenticator` that also accepts the cookie of a session, and links of the customers' page.

    A credential in the headers takes precedence over the cookie.

    A session may do what its credential may do now: it ends with the key that opened it, and the scopes of a person are those of
    their roles.
    """

    def __init__(
        self,
        credentials: IAuthenticator,
        sessions: WebSessionStore,
        keys: KeyStore,
        portal: PortalLinks,
        bootstrap_key: str | None,
    ) -> None:
        self._credentials = credentials
        self._sessions = sessions
        self._keys = keys
        self._portal = portal
        self._bootstrap_hash = sha256(bootstrap_key.encode()).digest() if bootstrap_key else None

    async def authenticate(self, headers: Mapping[str, str], *, address: str | None) -> Principal:
        given = bearer_token(headers)
        if given is not None and given.startswith(PORTAL_PREFIX):
            return await self._visitor(given)
        if given is not None and given.startswith(SIGN_IN_PREFIX):
            return await self._follower(given, address)
        token = _token(headers)
        if token is None or headers.get("x-server-api-key") or headers.get("authorization"):
            return await self._credentials.authenticate(headers, address=address)
        found = await self._sessions.find(token)
        principal = await self._principal(found, address) if found is not None else None
        if principal is None:
            raise UnauthenticatedError("The session has ended; sign in again")
        return replace(principal, session=token)

    async def _visitor(self, given: str) -> Principal:
        link = await self._portal.check(given)
        if link is None:
            raise UnauthenticatedError("This link is unknown or has expired; ask for a new one")
        return Principal(f"portal:{link.link_id}", frozenset(), portal=link)

    async def _follower(self, given: str, address: str | None) -> Principal:
        """Return who follows a link that signs in: the link admits to nothing else."""
        found = await self._sessions.find_link(given)
        principal = await self._principal(found, address) if found is not None else None
        if principal is None:
            raise UnauthenticatedError("This link was used or has expired; sign in, or make a new link")
        return replace(principal, sign_in_link=given)

    def spec(self, principal: Principal) -> SessionSpec:
        """Return what a session of this caller stores."""
        return SessionSpec(
            actor=principal.id,
            user_id=principal.user_id,
            organization_id=principal.organization_id,
            roles=[role.value for role in principal.roles],
            scopes=[scope.value for scope in principal.scopes],
            key_id=principal.key_id,
            credential_hash=self._bootstrap_hash if principal.id == _BOOTSTRAP else None,
        )

    async def _principal(self, found: WebSession, address: str | None) -> Principal | None:
        """Return what the session's credential may do now; None if the credential has ended."""
        spec = found.spec
        if spec.user_id is not None:
            roles = [role for role in Role if role.value in spec.roles]
            return person(spec.user_id, roles, organization_id=spec.organization_id)
        if spec.key_id is not None:
            live = await self._keys.live(spec.key_id)
            if live is None or not live.key.admits(address):
                return None
            scopes = frozenset(scope for scope in Scope if scope.value in live.key.scopes)
            return Principal(spec.actor, scopes, key_id=spec.key_id, line=live.line)
        if spec.actor == _BOOTSTRAP:
            return Principal(spec.actor, ALL_SCOPES) if spec.credential_hash == self._bootstrap_hash else None
        return Principal(spec.actor, frozenset(scope for scope in Scope if scope.value in spec.scopes))


def csrf_token(token: str) -> str:
    """Return the value that pages of this session send as `x-csrf-token` with each change."""
    return sha256(f"csrf:{token}".encode()).hexdigest()[:40]


def check_same_site(principal: Principal, request: Request) -> None:
    """Refuse a request with a session's cookie that a page of another site may have made.

    Raises:
        ForbiddenError: the browser says that another site made it, or it is a change without the session's `x-csrf-token`.
    """
    if principal.session is None:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in _OWN_PAGES:
        raise ForbiddenError("A page of another site made this request; open the dashboard and repeat it there")
    sent = request.headers.get(CSRF_HEADER, "")
    wanted = csrf_token(principal.session)
    if request.method not in _SAFE and not hmac.compare_digest(sent.encode(), wanted.encode()):
        raise ForbiddenError(
            f"A change by a session needs the header {CSRF_HEADER}; send csrf_token of GET /api/session",
            param=CSRF_HEADER,
        )


def with_cookie(response: Response, token: str, session: WebSession, *, secure: bool) -> Response:
    """Set the cookie of a session: not readable by scripts, and not sent along by other sites."""
    seconds = int((session.expires_at - session.created_at).total_seconds())
    response.set_cookie(COOKIE, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def cleared() -> str:
    """Return the `Set-Cookie` header that removes the cookie."""
    return f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=lax"


def _token(headers: Mapping[str, str]) -> str | None:
    sent = headers.get("cookie")
    if not sent:
        return None
    try:
        found = SimpleCookie(sent).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None and found.value else None
