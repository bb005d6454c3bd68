"""Audit entries of commands.

A command is audited if it changes money, rights or definitions, or reads data about a person. It is declared by
`@audited(…)`, as an operation of the gateway is; `in_audit`, which runs the command's work, writes the entry.
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

from faregate.cli.shared.output import errors
from faregate.core.db.subjects import Subjects, person_of
from faregate.core.errors import NotFoundError, ReadOnlyServerError
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

_NOT_GIVEN = object()


@dataclass(frozen=True, slots=True)
class Audited:
    """What the audit entry of a command holds.

    Attributes:
        action: the name of the same action over HTTP, if there is one.
        owner: the parameter that names the owner of the data; `organization_id` names an organisation.
        target: parameters that name other things that the command concerns; never people, who can be erased in `owner` only.
        when: a parameter without which the command changes nothing and writes no entry.
        look: reads the changed thing before and after the work, given the container and the command's arguments.
        apart: the work uses its own transactions, and the entry is written in a further one afterwards. Otherwise both
            commit together.
    """

    action: str
    owner: str | None = None
    target: tuple[str, ...] = ()
    when: str | None = None
    look: Look | None = None
    apart: bool = False


@dataclass(slots=True)
class _Pending:
    """The audit entry of the running command, before it is written."""

    declared: Audited
    arguments: Mapping[str, Any]
    target: dict[str, Any] = field(default_factory=dict[str, Any])
    before: Any = _NOT_GIVEN
    after: Any = _NOT_GIVEN


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
    """Declare that a command writes an audit entry after its work; `Audited` describes the parameters."""
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


def note(*, before: Any = _NOT_GIVEN, after: Any = _NOT_GIVEN, **target: Any) -> None:
    """Add to the audit entry of the running command; does nothing if the command is not audited."""
    pending = _pending.get()
    if pending is None:
        return
    pending.target.update(target)
    pending.before = before if before is not _NOT_GIVEN else pending.before
    pending.after = after if after is not _NOT_GIVEN else pending.after


async def in_audit(database: Database, audit: AuditLog, work: Callable[[], Awaitable[T]], *, library: Any = None) -> T:
    """Run the work of the running command, and write its audit entry if it is audited."""
    pending = _pending.get()
    if pending is None:
        return await work()

    async def write(session: AsyncSession) -> None:
        await audit.add(session, await _deed(database, session, pending))

    async def together(session: AsyncSession) -> T:
        await database.rows(session, "set local idle_in_transaction_session_timeout = 0")
        result = await _work_between_looks(pending, work, library)
        await write(session)
        return result

    if not pending.declared.apart:
        return await database.run_joined(together)
    result = await _work_between_looks(pending, work, library)
    try:
        await database.run(write)
    except ReadOnlyServerError:
        errors.print(_not_stored(pending), markup=False, highlight=False, soft_wrap=True)
    return result


def _not_stored(pending: _Pending) -> str:
    """Return the note about a read on a standby, whose audit log nobody can write; the read has happened."""
    owner = _owner(pending.declared, pending.arguments)
    about = f"{pending.declared.action} of {owner}" if owner is not None else pending.declared.action
    return f"note: the server is a standby, so that this is not in the audit log: {about} by cli:{getpass.getuser()}"


async def _work_between_looks(pending: _Pending, work: Callable[[], Awaitable[T]], library: Any) -> T:
    from faregate.core.db.ambient_transaction import outside_transaction

    look = pending.declared.look
    if look is None:
        result = await work()
        if pending.after is _NOT_GIVEN:
            pending.after = result
        return result
    try:
        with outside_transaction():  # a thing that does not exist yet must not fail the transaction
            pending.before = await look(library, pending.arguments)
    except NotFoundError:
        pending.before = None
    result = await work()
    pending.after = await look(library, pending.arguments)
    return result


async def _deed(database: Database, session: AsyncSession, pending: _Pending) -> Deed:
    # the client's address as the database sees it; a Unix socket has none and is local
    from faregate.core.access.audit import Deed

    ((address,),) = await database.rows(session, "select coalesce(host(inet_client_addr()), '127.0.0.1')")
    declared, asked = pending.declared, pending.arguments
    named = {name: str(asked[name]) for name in declared.target if asked[name] is not None}
    on_word_of = asked.get("actor") or asked.get("by")
    person = person_of(on_word_of) if on_word_of else None
    known = await Subjects(database).find(session, [person] if person else [])
    return Deed(
        actor=f"cli:{getpass.getuser()}",
        actor_user_id=person if known else None,  # users are named only in columns that an erasure changes
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
        is_look=declared.apart,  # a command with its own transactions and an owner only reads
    )


@cache
def _request_id() -> str:
    """Return the request id of this process, which runs one command."""
    return f"cli:{new_uuid7()}"


def _owner(declared: Audited, asked: Mapping[str, Any]) -> str | None:
    named = asked[declared.owner] if declared.owner is not None else None
    if named in {None, "*"}:
        return None
    return f"org:{named}" if declared.owner == "organization_id" else str(named)


def _hash(value: Any) -> bytes | None:
    from faregate.core.access.audit import fingerprint

    return None if value is _NOT_GIVEN or value is None else fingerprint(value)
