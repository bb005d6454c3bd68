"""Block of credits of one lease, from which uses are decided locally.

No network and no event loop: a decision takes a lock, compares two numbers and appends a line to the journal. Amounts are integer
micro-credits.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice
from threading import Lock

from faregate.client.errors import HoldClosedError, InsufficientCreditsError, InvalidError, KeyConflictError
from faregate.client.leases.journal import LeaseJournal
from faregate.wire.clock import monotonic_seconds
from faregate.wire.credits import to_credits
from faregate.wire.exact_json import plain

__all__ = ["LeaseBlock", "short_credits"]

_REMEMBERED_KEYS = 10_000
"""Reported keys that are still known as repetitions; the gateway knows all."""


class LeaseBlock:
    """What a lease holds, less what was used and not reported yet.

    Invariant: the unreported uses never exceed what the gateway holds for this lease, so that each report is covered in full.

    Args:
        clock: seconds since an arbitrary start, for tests of expiry.
    """

    def __init__(self, lease_id: str, journal: LeaseJournal, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._lease_id = lease_id
        self._journal = journal
        self._lock = Lock()
        self._held = 0
        self._unbounded = False
        self._until = 0.0
        self._unreported: OrderedDict[str, int] = OrderedDict()
        self._used = 0
        self._reported: OrderedDict[str, int] = OrderedDict()
        self._process = os.getpid()

    @property
    def left(self) -> int:
        """What can still be used."""
        return self._held - self._used

    @property
    def used(self) -> int:
        """What was used and is not reported yet."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many uses are not reported yet."""
        return len(self._unreported)

    @property
    def unbounded(self) -> bool:
        """Whether nobody pays for the uses, so that the block does not bound them."""
        return self._unbounded

    def use(self, key: str, micros: int) -> None:
        """Decide a use and note it in the journal; a repeated `key` of the same amount counts once.

        Raises:
            InsufficientCreditsError: the block does not cover it.
            HoldClosedError: the lease has ended, or was not renewed in time.
            KeyConflictError: the key was used for another amount.
            InvalidError: this process was forked from the one that took the lease.
        """
        with self._lock:
            if self._is_repeated(key, micros):
                return
            self._check_open()
            if not self._unbounded and self._used + micros > self._held:
                raise self._insufficient(micros)
            self._journal.append(key, micros)
            self._unreported[key] = micros
            self._used += micros

    def renewed(self, held: int, *, until: float, unbounded: bool = False) -> None:
        """Note what the gateway holds now, and until when uses may be decided (by the monotonic clock)."""
        with self._lock:
            self._held, self._until, self._unbounded = held, until, unbounded

    def batch(self, limit: int) -> Sequence[tuple[str, int]]:
        """Return the oldest unreported uses."""
        with self._lock:
            return list(islice(self._unreported.items(), limit))

    def reported(self, uses: Sequence[tuple[str, int]], *, held: int | None) -> None:
        """Forget uses that the gateway has answered for; `held` is what it holds after them, None if that is unknown."""
        with self._lock:
            for key, micros in uses:
                self._used -= self._unreported.pop(key)
                self._reported[key] = micros
            while len(self._reported) > _REMEMBERED_KEYS:
                self._reported.popitem(last=False)
            if held is not None:
                self._held = held
            self._journal.reported(len(uses), empty=not self._unreported)

    def end(self) -> None:
        """Decide no more uses."""
        with self._lock:
            self._until = 0.0

    def _is_repeated(self, key: str, micros: int) -> bool:
        known = self._unreported.get(key)
        known = self._reported.get(key) if known is None else known
        if known is not None and known != micros:
            raise KeyConflictError(
                f"the key {key!r} was used for {short_credits(known)} credits; take a new key for another use",
                param="key",
            )
        return known is not None

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise InvalidError(
                f"the lease {self._lease_id} belongs to the process that took it; take one in each process",
                param="lease",
            )
        if self._clock() >= self._until:
            raise HoldClosedError(
                f"the lease {self._lease_id} has ended or was not renewed in time; take a new one, or charge by `use`",
                usage_key=self._lease_id,
                status="expired",
            )

    def _insufficient(self, micros: int) -> InsufficientCreditsError:
        balance, required = short_credits(self.left), short_credits(micros)
        return InsufficientCreditsError(
            f"The lease {self._lease_id} has {balance} credits left, {required} needed; `await lease.renew()` tops "
            "it up if the wallet has free credits",
            balance=balance,
            required=required,
        )


def short_credits(micros: int) -> Decimal:
    """Return micro-credits as credits, without trailing zeros, for people."""
    return Decimal(plain(to_credits(micros)))
