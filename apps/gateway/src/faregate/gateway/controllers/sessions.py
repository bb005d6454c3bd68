"""Controller of `/api/session`: sign-in, the caller's identity, sign-out."""

from datetime import timedelta

from starlette.responses import Response

from faregate.core.access.web_sessions import WebSession, WebSessionStore
from faregate.core.db.database import Database
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.http.envelope import success
from faregate.gateway.http.operation import Audit, Call, Controller, Reply, operation
from faregate.gateway.schemas.sessions import EndedAnswer, EndQuery, SessionAnswer, SignInLinkAnswer, SignInLinkBody
from faregate.gateway.security.auth import Principal
from faregate.gateway.security.sessions import SessionAuthenticator, cleared, csrf_token, with_cookie

__all__ = ["SessionsController"]


class SessionsController(Controller):
    """Sessions of browsers over HTTP."""

    def __init__(
        self, database: Database, sessions: WebSessionStore, authenticator: SessionAuthenticator, public_url: str | None
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._authenticator = authenticator
        self._public_url = public_url

    @operation("POST", "/api/session", scope=None, known=True, answer=SessionAnswer, idempotent=False, audit=Audit.DEED)
    async def sign_in(self, call: Call) -> Response:
        """Exchange the credential of this request for a session, whose cookie scripts cannot read.

        The session may do what the credential may do, and ends with it. Changes made by the session need the header
        `x-csrf-token`. The dashboard signs in with this call; the token of a link that signs in is used up by it.
        """
        async with self._database.transaction() as session:
            link = call.principal.sign_in_link
            if link is not None and await self._sessions.follow_link(session, link) is None:
                raise UnauthenticatedError("This link was used a moment ago; sign in, or make a new link")
            token, opened = await self._sessions.open(session, self._authenticator.spec(call.principal))
        answer = _answer(call.principal, token, opened)
        secure = (self._public_url or call.request.url.scheme).startswith("https")
        return with_cookie(success(answer, message="signed in"), token, opened, secure=secure)

    @operation(
        "POST",
        "/api/session/links",
        scope=None,
        known=True,
        answer=SignInLinkAnswer,
        status=201,
        idempotent=False,
        shown_once=("url",),
        audit=Audit.DEED,
    )
    async def make_link(self, call: Call, body: SignInLinkBody) -> SignInLinkAnswer:
        """Make a link that signs in to the dashboard once, as the caller, within the next minutes.

        The secret is in the part of the address after `#`, which browsers send to no server.
        """
        async with self._database.transaction() as session:
            token, expires_at = await self._sessions.make_link(
                session, self._authenticator.spec(call.principal), timedelta(seconds=body.expires_in_seconds)
            )
        url = call.request.url
        return SignInLinkAnswer(
            url=f"{self._public_url or f'{url.scheme}://{url.netloc}'}/dashboard#{token}", expires_at=expires_at
        )

    @operation("GET", "/api/session", scope=None, known=True, answer=SessionAnswer)
    async def who(self, call: Call) -> SessionAnswer:
        """Return the caller: a key or a person, with their scopes."""
        token = call.principal.session
        found = await self._sessions.find(token) if token is not None else None
        return _answer(call.principal, token, found)

    @operation("DELETE", "/api/session", scope=None, known=True, answer=EndedAnswer, audit=Audit.DEED)
    async def sign_out(self, call: Call, query: EndQuery) -> Reply:
        """End this session; with `everywhere` all sessions of the same person or key."""
        spec = self._authenticator.spec(call.principal)
        async with self._database.transaction() as session:
            ended = await self._sessions.end_all(session, spec) if query.everywhere else 0
            if call.principal.session is not None and not query.everywhere:
                ended = int(await self._sessions.end(session, call.principal.session))
        return Reply(EndedAnswer(ended=ended), headers={"set-cookie": cleared()})


def _answer(principal: Principal, token: str | None, session: WebSession | None) -> SessionAnswer:
    return SessionAnswer(
        id=principal.id,
        user_id=principal.user_id,
        organization_id=principal.organization_id,
        roles=sorted(principal.roles),
        scopes=sorted(principal.scopes),
        csrf_token=csrf_token(token) if token is not None else None,
        expires_at=session.expires_at if session is not None else None,
    )
