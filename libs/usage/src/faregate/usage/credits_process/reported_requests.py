"""Requests that were reported for a use before it was settled."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.states import ChargeState
from faregate.usage.events.keys import OWN_SOURCES, settled_meaning, use_key
from faregate.usage.events.repository import COUNTED
from faregate.usage.events.rows import COLUMNS

__all__ = ["ReportedRequests"]

_TYPES = {"claim": "uuid", "usage_key": "text", "subject_id": "bigint", "time": "timestamptz", "meaning": "uuid"}

_TAKEN_BACK = ", ".join(f"-{name}" if name in COUNTED else name for name in COLUMNS)

_GIVE_WAY = f"""
with settled as materialized (
  select * from unnest({", ".join(f"cast(:{name} as {kind}[])" for name, kind in _TYPES.items())})
  as n ({", ".join(_TYPES)})
), held as materialized (
  select n.claim, n.usage_key, n.meaning, k.event_key, k.subject_id, k.time
  from settled n join faregate.usage_event_key k on k.key = n.claim order by n.claim for update of k
), places as (
  select * from held
  union select h.claim, h.usage_key, h.meaning, h.event_key, c.subject_id, c.time
  from held h join faregate.usage_correction c on c.event_key = h.event_key
), standing as materialized (
  select e.*, p.claim, p.meaning from places p
  join faregate.usage_event e on e.subject_id = p.subject_id and e.time = p.time and e.event_key = p.event_key
  where e.sign = 1 and e.kind = 0 and e.usage_key = p.usage_key and not starts_with(e.source, '{OWN_SOURCES}')
    and not exists (
      select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version)
), corrected as (
  insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason)
  select event_key, version, false, meaning, subject_id, time, 'its use was settled' from standing
  where event_key <> claim order by event_key
  on conflict (event_key, version) do nothing returning event_key
), taken_back as (
  insert into faregate.usage_event (sign, {", ".join(COLUMNS)}) select -1, {_TAKEN_BACK} from standing
), moved as (
  update faregate.usage_event_key k set event_key = n.claim, subject_id = n.subject_id, time = n.time
  from settled n where k.key = n.claim
)
select (select count(*) from standing where event_key <> claim) as standing, (select count(*) from corrected) as corrected
"""  # noqa: S608


class ReportedRequests:
    """Takes back what was reported as the request of a use, when the use is settled: a use is one request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give_way(self, session: AsyncSession, charges: Sequence[ChargeState]) -> None:
        """Let the settlements of these charges be the requests of their uses, in the transaction that settles them.

        What was voided stays so, and what is archived is not changed.

        Raises:
            RetryTransactionError: somebody else is correcting one of the reported requests.
        """
        if not charges:
            return
        (done,) = await self._database.rows(
            session,
            _GIVE_WAY,
            claim=[use_key(charge.usage_key) for charge in charges],
            usage_key=[charge.usage_key for charge in charges],
            subject_id=[charge.subject_id for charge in charges],
            time=[charge.settled_at or charge.created_at for charge in charges],
            meaning=[settled_meaning(charge.usage_key) for charge in charges],
        )
        if done.corrected != done.standing:
            raise RetryTransactionError("a reported request of the use is being corrected by somebody else")
