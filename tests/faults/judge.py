"""Verdict: database and queues compared with the published messages.

It uses no code of the ledger.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from faults.traffic import Expected

__all__ = ["Books", "Judge", "read_books"]

SETTLED, EXPIRED = 1, 3
CHARGE, SHORTFALL = 2, 4

_CHARGES = """
select c.usage_key, s.external_id as user_id, c.status, c.consumed, c.charged, c.shortfall
from faregate.charge c join faregate.subject s using (subject_id)
"""
_TRANSFERS = """
select usage_key, kind, count(*) as times, sum(amount)::bigint as micros from faregate.transfer
where usage_key is not null group by usage_key, kind
"""
_WALLETS = """
select s.external_id as user_id, w.credits, w.debits, w.held
from faregate.wallet w join faregate.subject s on s.subject_id = w.wallet_id
"""
_WAITING = "select count(*) from faregate.message where dead_at is null and queue like 'credits_process%'"
_DEAD = "select body from faregate.message where dead_at is not null"


@dataclass
class Books:
    """Rows and dead letters at the end of a campaign."""

    charges: dict[str, Any]
    transfers: dict[str, dict[int, tuple[int, int]]]
    wallets: dict[str, Any]
    dead: list[bytes] = field(default_factory=list[bytes])
    waiting: int = 0


async def read_books(url: str) -> Books:
    """Read the database at `url`; the caller adds the messages on the broker."""
    connection = await asyncpg.connect(url)
    try:
        transfers: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
        for row in await connection.fetch(_TRANSFERS):
            transfers[row["usage_key"]][row["kind"]] = (row["times"], row["micros"])
        return Books(
            {row["usage_key"]: row for row in await connection.fetch(_CHARGES)},
            transfers,
            {row["user_id"]: row for row in await connection.fetch(_WALLETS)},
            [row["body"] for row in await connection.fetch(_DEAD)],
            await connection.fetchval(_WAITING),
        )
    finally:
        await connection.close()


class Judge:
    """Collects errors: `faults` holds counts by kind, `examples` the first few of each."""

    def __init__(self, expected: Expected, books: Books) -> None:
        self.faults: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = defaultdict(list)
        self._expected = expected
        self._books = books

    def judge(self) -> bool:
        """Compare everything, and return whether there is no fault."""
        self._keys()
        self._strangers()
        self._totals()
        self._dead_letters()
        if self._books.waiting:
            self._blame("messages still waiting", [str(self._books.waiting)])
        return not self.faults

    def _keys(self) -> None:
        """Check that each published key is settled once, at the price of a body that was published for it."""
        for key, (user, prices) in self._expected.uses.items():
            charge = self._books.charges.get(key)
            if charge is None or charge["status"] != SETTLED:
                self._blame("keys lost", [key])
                continue
            if charge["user_id"] != user or charge["consumed"] not in prices:
                self._blame("keys settled wrongly", [f"{key}: {dict(charge)}, not {user} {prices}"])
            moved = self._books.transfers.get(key, {})
            if moved.get(CHARGE, (0, 0)) != (int(charge["charged"] > 0), charge["charged"]):
                self._blame("keys charged more or less than once", [f"{key}: {moved}"])
            if moved.get(SHORTFALL, (0, 0))[1] != charge["consumed"] - charge["charged"]:
                self._blame("keys whose parts do not add up", [f"{key}: {moved}"])
            if user.startswith("rich") and charge["charged"] != charge["consumed"]:
                self._blame("keys that fell short for no reason", [key])

    def _strangers(self) -> None:
        """Check that only published keys are charged, and that abandoned holds have expired."""
        for key, charge in self._books.charges.items():
            if key in self._expected.uses:
                continue
            if key not in self._expected.abandoned:
                self._blame("charges that nobody asked for", [key])
            elif charge["status"] != EXPIRED or key in self._books.transfers:
                self._blame("holds that did not expire", [f"{key}: {dict(charge)}"])

    def _totals(self) -> None:
        due: Counter[str] = Counter()
        for key, (user, prices) in self._expected.uses.items():
            due[user] += self._settled_price(key, prices)
        for user, granted in self._expected.granted.items():
            wallet = self._books.wallets[user]
            paid = min(due[user], granted)
            if (wallet["credits"], wallet["debits"], wallet["held"]) != (granted, paid, 0):
                self._blame("wallets with another total", [f"{user}: {dict(wallet)}, not {granted} {paid} 0"])

    def _settled_price(self, key: str, prices: tuple[int, ...]) -> int:
        """Check a key with two bodies: either may be settled, and the ledger shows which."""
        charge = self._books.charges.get(key)
        return charge["consumed"] if charge is not None and charge["consumed"] in prices else prices[0]

    def _dead_letters(self) -> None:
        wanted = {_canonical(body): body for body in self._expected.poison}
        for key, bodies in self._expected.contenders.items():
            won = self._settled_price(key, tuple(bodies))
            wanted |= {_canonical(body): body for price, body in bodies.items() if price != won}
        found = {_canonical(body): body for body in self._books.dead}
        self._blame("dead letters that are missing", _texts(wanted, found))
        self._blame("dead letters that nobody expected", _texts(found, wanted))

    def _blame(self, kind: str, examples: Iterable[str]) -> None:
        for example in examples:
            self.faults[kind] += 1
            if len(self.examples[kind]) < 5:
                self.examples[kind].append(example[:300])


def _texts(these: Mapping[str, bytes], without: Mapping[str, bytes]) -> list[str]:
    return [body.decode(errors="replace") for name, body in these.items() if name not in without]


def _canonical(body: bytes) -> str:
    """Return a canonical form of a body; an item of an array is republished as its own message, with other whitespace."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return repr(body)
