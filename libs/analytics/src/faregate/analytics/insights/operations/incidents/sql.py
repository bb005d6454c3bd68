"""SQL of the charged uses of an incident."""

from faregate.analytics.facts.conditions_sql import conditions
from faregate.analytics.question.filters import Filters
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.states import ChargeStatus

__all__ = ["charged_uses"]

_RULES = {
    "failed": """exists (
    select from faregate.feature_log f
    where f.usage_key = c.usage_key and f.failed and f.deleted_at is null
      and f.logged_at >= cast(:start as timestamptz) - interval '1 day'
      and f.logged_at < cast(:end as timestamptz) + interval '1 day')""",
    "slow": "c.duration_ms > cast(:slower_than_ms as bigint)",
    "all": "true",
}


def charged_uses(filters: Filters, rule: str) -> str:
    """Return the settled uses of a question by a rule, with what is not refunded of each, in micro-credits; the oldest first."""
    return f"""
    with used as materialized (
      select distinct e.usage_key from faregate.usage_event e
      where {conditions(filters)} and e.usage_key is not null and e.sign > 0 and starts_with(e.source, 'faregate:')
    ), found as (
      select c.subject_id, c.usage_key, c.settled_at, c.charged - coalesce((
          select sum(t.amount) from faregate.transfer t
          where t.wallet_id = c.wallet_id and t.corrects_seq is not null and t.usage_key = c.usage_key
            and t.kind = {int(TransferKind.REFUND)}), 0) as left_over
      from used join faregate.charge c using (usage_key)
      where c.status = {int(ChargeStatus.SETTLED)} and c.charged > 0 and {_RULES[rule]}
    )
    select subject_id, usage_key, left_over::bigint as credits from found where left_over > 0
    order by settled_at, usage_key limit :limit
    """  # noqa: S608
