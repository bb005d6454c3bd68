"""Values that are kept with a session until its transaction ends."""

from typing import Any
from weakref import ref

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["keep_for_transaction", "kept_for_transaction"]


def keep_for_transaction(session: AsyncSession, name: str, value: Any) -> None:
    """Keep a value for the rest of the session's transaction; without one, nothing is kept.

    The reference to the transaction is weak: its session, which it refers to, would otherwise be freed only by the garbage
    collector, which stopped the process for 20 ms after about a thousand transactions.
    """
    transaction = session.sync_session.get_transaction()
    if transaction is not None:
        session.info[name] = ref(transaction), value


def kept_for_transaction(session: AsyncSession, name: str) -> Any:
    """Return the value that was kept in the session's transaction; None without one."""
    transaction = session.sync_session.get_transaction()
    if transaction is None or name not in session.info:
        return None
    begun, value = session.info[name]
    return value if begun() is transaction else None
