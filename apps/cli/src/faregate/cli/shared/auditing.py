"""What of a command goes into the audit log: every change of money, rights and definitions, and looks at people.

A command says it of itself (`@audited(…)`), as a call of the gateway does; what runs its work (`in_audit`) writes the entry.
"""

from __future__ import annotations

import getpass
import inspect
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from faregate.core.db.subjects import Subjects, person_of
from faregate.core.errors import NotFoundError
from faregate.wire.ids import new_uuid7

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from faregate.core.access.audit import AuditLog, Deed
    from faregate.core.db.database import Database

__all__ = ["Audited", "audited", "in_audit", "note"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Look = Callable[[Any, Mapping[str, Any]], Awaitable[Any]]

_UNSAID = object()


@dataclass(frozen=True, slots=True)
class Audited:
    """How a command is noted.

    Attributes:
        action: the name of the same deed over HTTP, where there is one.
        owner: the parameter that names whose data it concerns; `organization_id` names an organisation.
        target: parameters that name what it concerns otherwise. People stand in `owner` alone, where they can be erased.
        when: a parameter without which the command changes nothing.
        look: reads the thing before and after, from the container of the work and the command's arguments.
        apart: the work has transactions of its own; the entry follows in another one. Else both commit together.
    """

    action: str
    owner: str | None = None
    target: tuple[str, ...] = ()
    when: str | None = None
    look: Look | None = None
    apart: bool = False


@dataclass(slots=True)
class _Pending:
    """A deed on its way."""

    declared: Audited
    arguments: Mapping[str, Any]
    target: dict[str, Any] = field(default_factory=dict[str, Any])
    before: Any = _UNSAID
    after: Any = _UNSAID


_pending: ContextVar[_Pending | None] = ContextVar("faregate_command_deed", default=None)


def audited(
    action: str,
    *,
    owner: str | None = None,
    target: tuple[str, ...] = (),
    when: str | None = None,
    look: Look | None = None,
    apart: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that a command is noted when it has done its work; `Audited` explains the parts."""
    declared = Audited(action, owner, target, when, look, apart)

    def declare(command: Callable[P, R]) -> Callable[P, R]:
        @wraps(command)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = inspect.signature(command).bind(*args, **kwargs)
            bound.apply_defaults()
            if declared.when is not None and not bound.arguments[declared.when]:
                return command(*args, **kwargs)
            token = _pending.set(_Pending(declared, bound.arguments))
            try:
                return command(*args, **kwargs)
            finally:
                _pending.reset(token)

        noted.__audited__ = declared  # type: ignore[attr-defined]
        return noted

    return declare


def note(*, before: Any = _UNSAID, after: Any = _UNSAID, **target: Any) -> None:
    """Add to the entry of the running command; does nothing in one that is not noted."""
    pending = _pending.get()
    if pending is None:
        return
    pending.target.update(target)
    pending.before = before if before is not _UNSAID else pending.before
    pending.after = after if after is not _UNSAID else pending.after


async def in_audit(database: Database, audit: AuditLog, work: Callable[[], Awaitable[T]], *, library: Any = None) -> T:
    """Run the work of the running command, and write its entry if it is one that is noted."""
    pending = _pending.get()
    if pending is None:
        return await work()

    async def write(session: AsyncSession) -> None:
        await audit.add(session, await _deed(database, session, pending))

    async def together(session: AsyncSession) -> T:
        await database.rows(session, "set local idle_in_transaction_session_timeout = 0")
        result = await _looked_at(pending, work, library)
        await write(session)
        return result

    if not pending.declared.apart:
        return await database.run_joined(together)
    result = await _looked_at(pending, work, library)
    await database.run(write)
    return result


async def _looked_at(pending: _Pending, work: Callable[[], Awaitable[T]], library: Any) -> T:
    from faregate.core.db.ambient_transaction import apart as joined_apart

    look = pending.declared.look
    if look is None:
        result = await work()
        if pending.after is _UNSAID:
            pending.after = result
        return result
    try:
        with joined_apart():  # what is not there yet must not fail the transaction
            pending.before = await look(library, pending.arguments)
    except NotFoundError:
        pending.before = None
    result = await work()
    pending.after = await look(library, pending.arguments)
    return result


async def _deed(database: Database, session: AsyncSession, pending: _Pending) -> Deed:
    # as the database sees us; it sees no address behind a socket file, which is on its own machine
    from faregate.core.access.audit import Deed

    ((address,),) = await database.rows(session, "select coalesce(host(inet_client_addr()), '127.0.0.1')")
    declared, asked = pending.declared, pending.arguments
    named = {name: str(asked[name]) for name in declared.target if asked[name] is not None}
    on_word_of = asked.get("actor") or asked.get("by")
    person = person_of(on_word_of) if on_word_of else None
    known = await Subjects(database).find(session, [person] if person else [])
    return Deed(
        actor=f"cli:{getpass.getuser()}",
        actor_user_id=person if known else None,  # a user is named where an erasure reaches
        action=declared.action,
        status=200,
        request_id=_request_id(),
        owner_id=_owner(declared, asked),
        target={
            **named,
            **pending.target,
            "host": socket.gethostname(),
            **({"on_word_of": on_word_of} if on_word_of and not known else {}),
        },
        before_hash=_hash(pending.before),
        after_hash=_hash(pending.after),
        address=address,
        is_look=declared.apart,  # what is apart and names an owner only reads
    )


@cache
def _request_id() -> str:
    """One process is one request."""
    return f"cli:{new_uuid7()}"


def _owner(declared: Audited, asked: Mapping[str, Any]) -> str | None:
    named = asked[declared.owner] if declared.owner is not None else None
    if named in {None, "*"}:
        return None
    return f"org:{named}" if declared.owner == "organization_id" else str(named)


def _hash(value: Any) -> bytes | None:
    from faregate.core.access.audit import fingerprint

    return None if value is _UNSAID or value is None else fingerprint(value)
