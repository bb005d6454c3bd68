"""Verdict of a cluster trial: what callers were told, compared with what the database holds. It uses no code of the ledger."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from faults.cluster.uses import Acknowledged

__all__ = ["LOSSES", "Found", "Verdict", "judge", "read"]

LOSSES = frozenset(f"acknowledged {what} lost" for what in ("settlements", "starts", "logs", "events"))
"""Faults that mean: something was acknowledged, and is not there."""

_SETTLED, _CHARGE = 1, 2
_CHARGES = """
select c.usage_key, s.external_id as user_id, c.status, c.consumed, c.charged, extract(epoch from c.settled_at)::float8 as at,
  (select count(*) from faregate.transfer t where t.usage_key = c.usage_key and t.kind = $1) as times
from faregate.charge c join faregate.subject s using (subject_id)
"""
_WALLETS = """
select s.external_id as user_id, w.debits from faregate.wallet w join faregate.subject s on s.subject_id = w.wallet_id
"""
_LOGS = "select usage_key as name, count(*) as times from faregate.feature_log where usage_key is not null group by 1"
_EVENTS = """
select s.external_id as name, count(*) as times from faregate.usage_event e join faregate.subject s using (subject_id)
where s.external_id like 'record%' group by 1
"""


@dataclass
class Found:
    """Rows of the database at the end of a trial."""

    charges: dict[str, Any]
    debits: dict[str, int]
    logs: dict[str, int]
    events: dict[str, int]


@dataclass
class Verdict:
    """Counts of what was wrong, and the first examples."""

    faults: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))

    def blame(self, kind: str, examples: Sequence[str]) -> None:
        if examples:
            self.faults[kind] += len(examples)
            self.examples[kind] = [*self.examples[kind], *examples][:5]


async def read(url: str) -> Found:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return Found(
            {row["usage_key"]: row for row in await connection.fetch(_CHARGES, _CHARGE)},
            {row["user_id"]: row["debits"] for row in await connection.fetch(_WALLETS)},
            {row["name"]: row["times"] for row in await connection.fetch(_LOGS)},
            {row["name"]: row["times"] for row in await connection.fetch(_EVENTS)},
        )
    finally:
        await connection.close()


def judge(told: Acknowledged, found: Found) -> Verdict:
    """Compare everything that was acknowledged, and see that nothing was done twice or for nobody."""
    verdict = Verdict()
    charges = found.charges
    settled = {key: row for key, row in charges.items() if row["status"] == _SETTLED}
    verdict.blame("acknowledged settlements lost", sorted(set(told.uses) - set(settled)))
    verdict.blame("acknowledged starts lost", sorted(told.started - set(charges)))
    verdict.blame("keys that nobody used", sorted(set(charges) - set(told.tried)))
    wrong = [key for key, row in settled.items() if (row["user_id"], row["consumed"]) != told.tried.get(key)]
    verdict.blame("keys settled with another payer or price", wrong)
    more = [f"{key}: {row['times']} transfers" for key, row in settled.items() if row["times"] != 1]
    verdict.blame("keys not charged exactly once", more)
    due = Counter[str]()
    for row in settled.values():
        due[row["user_id"]] += row["charged"]
    verdict.blame("wallets with another total", [user for user, debit in found.debits.items() if debit != due[user]])
    for what, names, times in (("logs", told.logs, found.logs), ("events", told.events, found.events)):
        verdict.blame(f"acknowledged {what} lost", sorted(names - set(times)))
        verdict.blame(f"{what} stored more than once", [name for name, count in times.items() if count != 1])
    verdict.blame("answers that are not 503 with Retry-After", list(told.wrong.elements()))
    verdict.examples["answers that are not 503 with Retry-After"] = told.examples[:5]
    return verdict
