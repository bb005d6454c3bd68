"""What calls made with an API key may spend: a spending limit whose scope is the key's principal."""

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.credits import to_micros
from faregate.credit.limiting import LimitService
from faregate.credit.limits import Period, key_scope

__all__ = ["cap_scope", "copy_caps"]


def cap_scope(key_id: str) -> str:
    """Return the scope that counts what a key spends; calls are spent by their principal."""
    return key_scope(f"key:{key_id}")


async def copy_caps(limits: LimitService, session: AsyncSession, key_id: str, successor: str) -> None:
    """Give the successor of a rotated key the same caps; what the old one has spent does not count against it."""
    for cap in await limits.list(session, scopes=[cap_scope(key_id)]):
        if cap.hard is not None:
            hard = to_micros(cap.hard)
            await limits.set(session, cap_scope(successor), Period(cap.period), soft=None, hard=hard)
