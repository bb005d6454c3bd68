"""API keys in the database, with a cache in memory.

A lookup needs no database access; a revocation reaches every process within a second.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.key_format import Key, hash_secret, new_key, parse_key
from faregate.core.access.key_lineage import Lineage, LineageKey, lineage_of
from faregate.core.access.sql import (
    KEY_ADD,
    KEY_EXPIRE,
    KEY_GET,
    KEY_LINE,
    KEY_LIST,
    KEY_LIVE,
    KEY_LOCK,
    KEY_MAKER,
    KEY_REVOKE,
    KEY_REVOKE_MADE,
    KEY_SIBLINGS,
    KEY_USED,
)
from faregate.core.clock import Deadline, IClock
from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import EngineUnavailableError, FaregateError, InvalidError, KeyConflictError, NotFoundError

__all__ = ["ApiKey", "KeySpec", "KeyStore", "LiveKey", "TooManyKeysError", "UnknownKeyError"]

_NOTE_USE_SECONDS = 5.0


class UnknownKeyError(NotFoundError):
    """No API key has this id."""

    code = "unknown_key"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no API key {key_id!r}; GET /api/keys lists them", param="key_id")


class TooManyKeysError(FaregateError):
    """The client already has two live keys."""

    code = "too_many_keys"

    def __init__(self) -> None:
        super().__init__("This client already has two live keys; revoke the older one first")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What a new key may do. `allowed_ips`: addresses or networks; None allows every address."""

    name: str
    scopes: Sequence[str]
    environment: str = "live"
    expires_at: datetime | None = None
    allowed_ips: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `minted_by`: the key that created its client; None if no key did."""

    key_id: str
    client: str
    name: str
    environment: str
    scopes: tuple[str, ...]
    allowed_ips: tuple[str, ...] | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    minted_by: str | None = None

    def admits(self, address: str | None) -> bool:
        """Return whether a call from `address` may use it."""
        if self.allowed_ips is None:
            return True
        if address is None:
            return False
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        caller = getattr(caller, "ipv4_mapped", None) or caller
        return any(caller in ip_network(network) for network in self.allowed_ips)


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A live key and its line: its client, then the client's ancestors, the oldest last."""

    key: ApiKey
    line: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _LiveKeys:
    keys: Mapping[str, tuple[ApiKey, bytes]]
    lineage: Lineage


class KeyStore:
    """Creates, finds and ends API keys.

    Args:
        pepper: hashed into every stored key; with a different value no stored key is recognised.
        tag: the beginning of the ids of new keys; it names the tenant, if there are several.
    """

    def __init__(self, database: Database, clock: IClock, pepper: str, tag: str = "") -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._tag = tag
        self._live: VersionedCache[_LiveKeys] = VersionedCache(database, "api_keys", self._load)
        self._used: dict[str, datetime] = {}
        self._note_again = Deadline(0)
        self._noting: asyncio.Task[None] | None = None

    async def check(self, text: str) -> LiveKey | None:
        """Return the live key for `text`; None if it is not a key, or the key is unknown, expired or revoked, or an ancestor has no
        live key.

        Known and unknown ids take the same path, so that the response time reveals nothing.
        """
        key = parse_key(text)
        if key is None:
            return None
        live = await self._live.get()
        found = live.keys.get(key.key_id)
        stored = found[1] if found is not None else bytes(32)
        matches = hmac.compare_digest(hash_secret(self._pepper, key), stored)
        now = self._clock.now()
        if found is None or not matches or _is_past(found[0].expires_at, now):
            return None
        line = live.lineage.line(found[0].client, now)
        if line is None:
            return None
        self._note_use(key.key_id)
        return LiveKey(found[0], line)

    async def live(self, key_id: str) -> LiveKey | None:
        """Return the live key of this id, as `check` would for its full text; None if it has ended."""
        live = await self._live.get()
        found = live.keys.get(key_id)
        now = self._clock.now()
        if found is None or _is_past(found[0].expires_at, now):
            return None
        line = live.lineage.line(found[0].client, now)
        return LiveKey(found[0], line) if line is not None else None

    async def create(
        self, session: AsyncSession, spec: KeySpec, *, created_by: str, minted_by: str | None = None
    ) -> tuple[ApiKey, Key]:
        """Create a key of a new client; no other answer ever contains the full key.

        Args:
            minted_by: the id of the key that creates it. The new key ends when that one is revoked, or when the creating client has
                no live key; its spending counts against the caps of both.

        Raises:
            KeyConflictError: the creating key is not live.
        """
        if minted_by is not None and not await self._database.rows(session, KEY_MAKER, key_id=minted_by):
            raise KeyConflictError("the key that creates it is revoked or expired", param="minted_by")
        return await self._add(session, spec, created_by, client=None, minted_by=minted_by)

    async def line(self, session: AsyncSession, key_id: str) -> tuple[str, ...]:
        """Return the client of a key and its ancestors, the oldest last; an empty result for an unknown key."""
        return tuple(row.client for row in await self._database.rows(session, KEY_LINE, key_id=key_id))

    async def rotate(
        self, session: AsyncSession, key_id: str, *, overlap: timedelta, created_by: str
    ) -> tuple[ApiKey, Key]:
        """Create the successor of a key; the old one stays live for `overlap`.

        Raises:
            UnknownKeyError, KeyConflictError (it is not live), TooManyKeysError.
        """
        old = await self.get(session, key_id)
        await self._database.rows(session, KEY_LOCK, client=old.client)
        old = await self.get(session, key_id)
        if old.revoked_at is not None or _is_past(old.expires_at, self._clock.now()):
            raise KeyConflictError("this key is revoked or expired; create a new one", param="key_id")
        ((live,),) = await self._database.rows(session, KEY_SIBLINGS, client=old.client)
        if live > 1:
            raise TooManyKeysError
        await self._database.rows(session, KEY_EXPIRE, key_id=key_id, overlap=overlap)
        spec = KeySpec(old.name, old.scopes, old.environment, old.expires_at, old.allowed_ips)
        return await self._add(session, spec, created_by, client=old.client, minted_by=old.minted_by)

    async def revoke(self, session: AsyncSession, key_id: str) -> ApiKey:
        """End a key and all keys that it has created; every process refuses them within a second of the commit.

        Safe to repeat. Keys created by other keys of its client stay live.

        Raises:
            UnknownKeyError.
        """
        rows = await self._database.rows(session, KEY_REVOKE, key_id=key_id)
        if not rows:
            raise UnknownKeyError(key_id)
        ended = [key_id]
        while (
            ended
        ):  # level by level: keys that a key creates while it is being revoked become visible once its row is locked
            ended = [row.key_id for row in await self._database.rows(session, KEY_REVOKE_MADE, ids=ended)]
        await self._live.changed(session)
        return _api_key(rows[0])

    async def get(self, session: AsyncSession, key_id: str) -> ApiKey:
        """Return a key, live or not, or raise `UnknownKeyError`."""
        rows = await self._database.rows(session, KEY_GET, key_id=key_id)
        if not rows:
            raise UnknownKeyError(key_id)
        return _api_key(rows[0])

    async def list(
        self, session: AsyncSession, *, before: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[ApiKey]:
        """Return keys, live or not, newest first."""
        moment, key_id = before or (None, None)
        rows = await self._database.rows(session, KEY_LIST, before=moment, before_id=key_id, limit=limit)
        return [_api_key(row) for row in rows]

    def forget(self) -> None:
        """Check the version at the next check: for the process that has just changed a key itself, after the commit."""
        self._live.forget()

    async def flush(self) -> None:
        """Store when keys were last used."""
        if self._noting is not None and self._noting is not asyncio.current_task():
            await self._noting
        used, self._used = self._used, {}
        if used:
            ids = sorted(used)
            async with self._database.transaction() as session:
                await self._database.rows(session, KEY_USED, ids=ids, moments=[used[key_id] for key_id in ids])

    async def _add(
        self, session: AsyncSession, spec: KeySpec, created_by: str, *, client: str | None, minted_by: str | None
    ) -> tuple[ApiKey, Key]:
        key = new_key(spec.environment, self._tag)
        rows = await self._database.rows(
            session,
            KEY_ADD,
            key_id=key.key_id,
            client=client or key.key_id,
            name=spec.name,
            environment=spec.environment,
            secret_hash=hash_secret(self._pepper, key),
            scopes=sorted(set(spec.scopes)),
            allowed_ips=_networks(spec.allowed_ips),
            created_by=created_by,
            minted_by=minted_by,
            expires_at=spec.expires_at,
        )
        await self._live.changed(session)
        return _api_key(rows[0]), key

    async def _load(self, session: AsyncSession) -> _LiveKeys:
        rows = await self._database.rows(session, KEY_LIVE)
        keys = {row.key_id: (_api_key(row), bytes(row.secret_hash)) for row in rows}
        return _LiveKeys(keys, lineage_of(LineageKey(row.client, row.minter, row.expires_at) for row in rows))

    def _note_use(self, key_id: str) -> None:
        self._used[key_id] = self._clock.now()
        if self._note_again.passed:
            self._note_again = Deadline(_NOTE_USE_SECONDS)
            self._noting = asyncio.create_task(self._note())

    async def _note(self) -> None:
        try:
            await self.flush()
        except EngineUnavailableError:
            return  # a missing "last used" must not fail the caller


def _networks(given: Sequence[str] | None) -> list[str] | None:
    if given is None:
        return None
    try:
        return [str(ip_network(network)) for network in given]
    except ValueError:
        raise InvalidError(
            "allowed_ips holds addresses and networks such as 203.0.113.0/24", param="allowed_ips"
        ) from None


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _api_key(row: Any) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        client=row.client,
        name=row.name,
        environment=row.environment,
        scopes=tuple(row.scopes),
        allowed_ips=tuple(row.allowed_ips) if row.allowed_ips is not None else None,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        minted_by=row.minted_by,
    )
