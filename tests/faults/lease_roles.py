"""Forked process that spends leases, and dies at a point of their client."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from faregate.client import CreditsClient, FaregateError, Lease, Retry
from faregate.client.leases.block import LeaseBlock
from faregate.client.leases.journal import LeaseJournal
from faregate.client.transport.http import GatewayConnection

__all__ = ["CLIENT_POINTS", "LEASE_FEATURE", "LEASE_KEY", "spend"]

LEASE_KEY = "fg_chaos_0123456789abcdef"
LEASE_FEATURE = "search"
CLIENT_POINTS: dict[str, tuple[type, str, bool]] = {
    "before the journal": (LeaseJournal, "append", False),
    "after the journal": (LeaseJournal, "append", True),
    "decided": (LeaseBlock, "use", True),
    "before an answer is noted": (LeaseBlock, "reported", False),
    "after an answer is noted": (LeaseBlock, "reported", True),
    "renewed": (LeaseBlock, "renewed", True),
    "before a call": (GatewayConnection, "post", False),
}
"""Where a client kills itself: a method of its class, before or after it has run."""

Tell = Callable[[dict[str, Any]], None]


async def spend(order: dict[str, Any], tell: Tell) -> None:
    """Spend leases of one user until all uses are decided or the wallet is empty; note each use before and after it."""
    _arm(order, tell)
    random.seed(order["seed"])
    retry = Retry(attempts=40, base_seconds=0.02, cap_seconds=0.1, total_seconds=30)
    notes = os.open(order["notes"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    client = CreditsClient(order["gateway"], LEASE_KEY, spool_dir=Path(order["spool"]), retry=retry)
    async with client:
        while not await client.drain():
            await asyncio.sleep(0.05)
        if order["uses"]:
            with suppress(FaregateError):  # the wallet is empty, or the lease has ended
                await _use(client, order, notes)
        while not await client.drain():
            await asyncio.sleep(0.05)


async def _use(client: CreditsClient, order: dict[str, Any], notes: int) -> None:
    lease = client.lease(
        LEASE_FEATURE, user=order["user"], credits=8, ttl_seconds=order["ttl_seconds"], report_seconds=0.02
    )
    async with lease:
        for number in range(order["uses"]):
            await _one(lease, f"{order['child']}-{number}", random.randint(0, 12) / 4, notes)


async def _one(lease: Lease, key: str, credits: float, notes: int) -> None:
    amount = Decimal(str(credits))
    os.write(notes, b"wanted %s %s\n" % (key.encode(), str(amount).encode()))
    try:
        lease.use(amount, key=key)
    except FaregateError:
        await lease.renew()
        lease.use(amount, key=key)
    os.write(notes, b"decided %s %s\n" % (key.encode(), str(amount).encode()))
    await asyncio.sleep(random.random() * 0.01)


def _arm(order: dict[str, Any], tell: Tell) -> None:
    if not order.get("dies"):
        return
    owner, name, after = CLIENT_POINTS[order["dies"]]
    original, passages = getattr(owner, name), 0

    def die() -> None:
        tell({"struck": order["dies"]})
        os.kill(os.getpid(), signal.SIGKILL)

    def struck(*arguments: Any, **named: Any) -> Any:
        nonlocal passages
        passages += 1
        if passages < order["nth"]:
            return original(*arguments, **named)
        if not after:
            die()
        result = original(*arguments, **named)
        die()
        return result

    setattr(owner, name, struck)
