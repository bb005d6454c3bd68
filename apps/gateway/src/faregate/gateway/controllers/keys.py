"""Controller of `/api/keys`, the API keys of servers."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.key_format import Key
from faregate.core.access.key_store import ApiKey, KeySpec, KeyStore, TooManyKeysError, UnknownKeyError
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.credit.ledger.limits import LimitPeriod
from faregate.credit.services.spending_limits import LimitService, SpendingLimit
from faregate.gateway.errors import ForbiddenError
from faregate.gateway.http.operation import Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.keys import KeyAnswer, KeyBody, NewKeyAnswer, RotateBody, SpendCapBody, key_answer
from faregate.gateway.security.auth import Principal, Scope
from faregate.gateway.security.key_bounds import KeyBounds
from faregate.gateway.security.key_caps import cap_scope
from faregate.wire.credits import to_micros

__all__ = ["KeysController"]

_SCOPE = Scope.KEYS_ADMIN
_KEY = {"key_id": "key_id"}
_OF_NEW_KEY = {
    "read": link("keys.get_key", path=_KEY),
    "rotate": link("keys.rotate_key", path=_KEY),
    "revoke": link("keys.revoke_key", path=_KEY),
}


class KeysController(Controller):
    """API keys over HTTP."""

    def __init__(self, database: Database, keys: KeyStore, limits: LimitService, clock: IClock) -> None:
        self._database = database
        self._keys = keys
        self._limits = limits
        self._clock = clock

    @operation(
        "POST",
        "/api/keys",
        scope=_SCOPE,
        answer=NewKeyAnswer,
        status=201,
        shown_once=("key",),
        errors=(ForbiddenError,),
        links=_OF_NEW_KEY,
        rehearsable=True,
    )
    async def create_key(self, call: Call, body: KeyBody) -> Reply:
        """Make a key.

        Only this answer holds the key in full. A key cannot have scopes that the caller lacks. A key made by an API key is
        bounded by that key: `expires_at`, `allowed_ips` and `spend_cap` must be within its own (left out, they are copied
        from it), what the new key spends counts against its caps, too, and revoking it revokes the new key.
        """
        _check_scopes(call.principal, body.scopes)
        if body.expires_at is not None and body.expires_at <= self._clock.now():
            raise InvalidError(
                "expires_at must be in the future; leave it out for a key that does not expire", param="expires_at"
            )
        spec = KeySpec(body.name, body.scopes, body.environment, body.expires_at, body.allowed_ips)

        async def work(session: AsyncSession) -> tuple[ApiKey, Key, list[SpendingLimit]]:
            bounds = await self._bounds(session, call.principal)
            within = bounds.narrowed(spec) if bounds is not None else spec
            if bounds is not None and body.spend_cap is not None:
                bounds.check_cap(_micros(body.spend_cap), LimitPeriod(body.spend_cap.period))
            by = call.principal
            made, key = await self._keys.create(session, within, created_by=by.id, minted_by=by.key_id)
            return made, key, await self._set_cap(session, made.client, body.spend_cap)

        return self._new(*await self._database.run(work))

    @operation(
        "POST",
        "/api/keys/{key_id}/rotate",
        scope=_SCOPE,
        answer=NewKeyAnswer,
        status=201,
        shown_once=("key",),
        errors=(UnknownKeyError, TooManyKeysError, KeyConflictError, ForbiddenError),
        links=_OF_NEW_KEY,
        rehearsable=True,
    )
    async def rotate_key(self, call: Call, key_id: str, body: RotateBody) -> Reply:
        """Rotate a key: make its successor, with the same scopes; both share the caps and the amounts spent.

        The old key stays valid for `overlap_seconds`; at most two keys of one client are valid at the same time.
        """
        overlap = timedelta(seconds=body.overlap_seconds)

        async def work(session: AsyncSession) -> tuple[ApiKey, Key, list[SpendingLimit]]:
            old = await self._keys.get(session, key_id)
            _check_scopes(call.principal, old.scopes)
            bounds = await self._bounds(session, call.principal)
            if bounds is not None:
                bounds.check_rotation(old, await self._keys.line(session, key_id))
            made, key = await self._keys.rotate(session, key_id, overlap=overlap, created_by=call.principal.id)
            return made, key, await self._limits.list(session, scopes=[cap_scope(made.client)])

        return self._new(*await self._database.run(work))

    @operation(
        "GET",
        "/api/keys",
        scope=_SCOPE,
        answer=list[KeyAnswer],
        links={"read": link("keys.get_key", path={"key_id": "0/key_id"})},
    )
    async def list_keys(self, query: PageQuery) -> Page:
        """List keys, valid or not, newest first."""
        position = position_of(query.cursor, datetime, str)
        before = (position[0], position[1]) if position else None
        async with self._database.transaction(read_only=True) as session:
            found = await self._keys.list(session, before=before, limit=query.limit)
            caps = (
                await self._limits.list(session, scopes=sorted({cap_scope(key.client) for key in found}))
                if found
                else []
            )
        cursor = cursor_of(found[-1].created_at, found[-1].key_id) if len(found) == query.limit else None
        return Page([key_answer(key, [c for c in caps if c.scope == cap_scope(key.client)]) for key in found], cursor)

    @operation("GET", "/api/keys/{key_id}", scope=_SCOPE, answer=KeyAnswer, errors=(UnknownKeyError,))
    async def get_key(self, key_id: str) -> KeyAnswer:
        """Return one key, without its secret."""
        async with self._database.transaction(read_only=True) as session:
            key = await self._keys.get(session, key_id)
            return key_answer(key, await self._limits.list(session, scopes=[cap_scope(key.client)]))

    @operation(
        "DELETE", "/api/keys/{key_id}", scope=_SCOPE, answer=KeyAnswer, errors=(UnknownKeyError,), rehearsable=True
    )
    async def revoke_key(self, key_id: str) -> KeyAnswer:
        """Revoke a key and all keys made by it; every process refuses them within a second."""
        revoked = await self._database.run(lambda session: self._keys.revoke(session, key_id))
        self._keys.forget()
        return key_answer(revoked, [])

    async def _bounds(self, session: AsyncSession, principal: Principal) -> KeyBounds | None:
        """Return the bounds of an API key; None for people and the bootstrap key, which have none."""
        if principal.key_id is None:
            return None
        key = await self._keys.get(session, principal.key_id)
        caps = await self._limits.list(session, scopes=[cap_scope(client) for client in principal.line])
        return KeyBounds(key, principal.line, caps)

    async def _set_cap(self, session: AsyncSession, client: str, cap: SpendCapBody | None) -> list[SpendingLimit]:
        if cap is None:
            return []
        period, scope = LimitPeriod(cap.period), cap_scope(client)
        return [await self._limits.set(session, scope, period, soft=None, hard=_micros(cap))]

    def _new(self, made: ApiKey, key: Key, caps: list[SpendingLimit]) -> Reply:
        self._keys.forget()
        answer = NewKeyAnswer(**dict(key_answer(made, caps)), key=str(key))
        return Reply(answer, message="Keep it safe: it is not shown again")


def _micros(cap: SpendCapBody) -> int:
    return to_micros(cap.credits, param="spend_cap.credits")


def _check_scopes(principal: Principal, wanted: Iterable[str]) -> None:
    known = {scope.value for scope in Scope}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise InvalidError(
            f"scopes: there is no scope {unknown[0]!r}; known are {', '.join(sorted(known))}", param="scopes"
        )
    missing = sorted(set(wanted) - {scope.value for scope in principal.scopes})
    if missing:
        raise ForbiddenError(
            f"scopes: you cannot give away {missing[0]!r}, which you do not have; leave it out", param="scopes"
        )
