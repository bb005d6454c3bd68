"""Export and erasure of a person's data in the ledger.

Transfers are kept: they are the accounting records and identify a person only by subject id. The texts of their reasons are
stored separately and are erased.
"""

from faregate.core.privacy.erased_keys import key_without
from faregate.core.privacy.person_words import json_erasure, key_erasure, words_erasure
from faregate.core.privacy.personal_data import actor_erasure

__all__ = ["CREDIT_ERASURES", "CREDIT_EXPORTS"]

CREDIT_EXPORTS = {
    "wallet": """
    select to_json(t)::text from (
      select (credits - debits) / 1000000.0 as balance, held / 1000000.0 as held, debt / 1000000.0 as debt,
        credit_limit / 1000000.0 as credit_limit, low_balance / 1000000.0 as low_balance,
        top_up_below / 1000000.0 as top_up_below, top_up_amount / 1000000.0 as top_up_amount, plan, status, created_at
      from faregate.wallet where wallet_id = :subject) t
    """,
    "grant": """
    select to_json(t)::text from (
      select grant_id, source, amount / 1000000.0 as amount, remaining / 1000000.0 as remaining, held / 1000000.0 as held,
        priority, features, key, reason, void_note->>'reason' as void_reason, every, effective_at, expires_at, voided, created_at
      from faregate.credit_grant where wallet_id = :subject order by grant_id) t
    """,
    "charge": """
    select to_json(t)::text from (
      select usage_key, feature_key, status, consumed / 1000000.0 as credits_consumed, charged / 1000000.0 as credits_charged,
        hold / 1000000.0 as hold, shortfall / 1000000.0 as shortfall, duration_ms, metadata, close_reason, created_at,
        expires_at, closed_at, settled_at
      from faregate.charge where subject_id = :subject order by created_at) t
    """,
    "transfer": """
    select to_json(t)::text from (
      select seq, kind, amount / 1000000.0 as credits, balance_after / 1000000.0 as balance_after, corrects_seq, usage_key,
        operation_key, coalesce(r.words, case when t.reason not like 'sealed:%' then t.reason end) as reason, effective_at,
        created_at
      from faregate.transfer t left join faregate.transfer_reason r using (wallet_id, seq)
      where wallet_id = :subject order by seq) t
    """,
    "grant_slice": """
    select to_json(t)::text from (
      select seq, grant_id, amount / 1000000.0 as credits
      from faregate.grant_slice where wallet_id = :subject order by seq, grant_id) t
    """,
    "grant_payment": """
    select to_json(t)::text from (
      select grant_id, cents / 100.0 as paid_usd, paid_at, recorded_at
      from faregate.grant_payment where wallet_id = :subject order by recorded_at) t
    """,
    "closed_month": """
    select to_json(t)::text from (
      select k.period, c.opening / 1000000.0 as opening, c.closing / 1000000.0 as closing, c.used / 1000000.0 as used
      from faregate.close_wallet c join faregate.close k using (number) where c.wallet_id = :subject order by number) t
    """,
    "spend_limit": """
    select to_json(t)::text from (
      select split_part(scope, ':', 1) as kind, period, soft / 1000000.0 as soft, hard / 1000000.0 as hard, started_at,
        spent / 1000000.0 as spent, held / 1000000.0 as held
      from faregate.spend_limit, cast(cast(:subject as bigint) as text) as number
      where scope = 'user:' || number or scope like 'member:%:' || number order by scope, period) t
    """,
    "top_up": """
    select to_json(t)::text from (
      select order_id, amount / 1000000.0 as amount, status, reference, detail, created_at, closed_at
      from faregate.top_up where wallet_id = :subject order by created_at) t
    """,
    "purchase": """
    select to_json(t)::text from (
      select purchase_id, package, credits / 1000000.0 as credits, amount / 100.0 as amount_usd, order_id, key, status,
        granted / 1000000.0 as granted, taken / 1000000.0 as taken, lost / 1000000.0 as lost, session_id, failure, created_at,
        paid_at
      from faregate.purchase where wallet_id = :subject order by created_at) t
    """,
    "payment_event": """
    select to_json(t)::text from (
      select e.event_id, e.type, e.object_id, e.payment_intent, e.facts, e.occurred_at, e.received_at
      from faregate.payment_event e join faregate.purchase p using (purchase_id)
      where p.wallet_id = :subject order by e.occurred_at) t
    """,
    "payment_customer": """
    select to_json(t)::text from (
      select customer, method, saved_at from faregate.payment_customer where wallet_id = :subject) t
    """,
    "transfer_as_actor": """
    select to_json(t)::text from (
      select kind, amount / 1000000.0 as credits,
        coalesce(r.words, case when t.reason not like 'sealed:%' then t.reason end) as reason, created_at
      from faregate.transfer t left join faregate.transfer_reason r using (wallet_id, seq)
      where actor = any(cast(:signatures as text[])) and wallet_id <> :subject order by created_at) t
    """,
    "grant_as_actor": """
    select to_json(t)::text from (
      select grant_id, source, amount / 1000000.0 as amount, reason, created_at from faregate.credit_grant
      where (actor = any(cast(:signatures as text[])) or void_note->>'actor' = any(cast(:signatures as text[])))
        and wallet_id <> :subject order by created_at) t
    """,
}

_CALLERS_KEY = """not starts_with(key, 'plan:') and not starts_with(key, 'top-up:')
  and not starts_with(key, 'payment:') and not starts_with(key, 'erased:')"""
"""Keys that Faregate generates, recognised by their prefix, name no person."""

CREDIT_ERASURES = {
    "charge": """
    update faregate.charge set metadata = null, close_reason = null
    where subject_id = :subject and (metadata is not null or close_reason is not null) returning 1
    """,
    "grant": """
    with owned as materialized (select wallet_id from faregate.wallet where wallet_id = :subject for update)
    update faregate.credit_grant set reason = null, void_note = jsonb_set(void_note, '{reason}', 'null')
    where wallet_id = (select wallet_id from owned) and (reason is not null or void_note->>'reason' is not null) returning 1
    """,
    "transfer_reason": """
    delete from faregate.transfer_reason
    where wallet_id = :subject or words ~* :mentions returning 1
    """,
    "grant_reason": """
    update faregate.credit_grant set reason = null
    where reason ~* :mentions returning 1
    """,
    "grant_void_reason": """
    update faregate.credit_grant set void_note = jsonb_set(void_note, '{reason}', 'null')
    where void_note->>'reason' ~* :mentions returning 1
    """,
    "grant_void_actor": """
    update faregate.credit_grant set void_note = jsonb_set(void_note, '{actor}', to_jsonb(cast(:tombstone as text)))
    where void_note->>'actor' = any(cast(:actors as text[])) returning 1
    """,
    "grant_key": f"""
    update faregate.credit_grant set key = {key_without("key")}
    where wallet_id = :subject and position(:user_id in key) > 0 and {_CALLERS_KEY} returning 1
    """,  # noqa: S608
    "grant_key_of_others": key_erasure("credit_grant", "key", condition=_CALLERS_KEY),
    "charge_of_others": json_erasure("charge", "metadata"),
    "charge_closed": words_erasure("charge", "close_reason", pattern="certain"),
    "top_up_detail": words_erasure("top_up", "detail"),
    "top_up_reference": words_erasure("top_up", "reference"),
    "grant_actor": actor_erasure("credit_grant"),
    "purchase_key": key_erasure("purchase", "key"),
    "purchase_failure": words_erasure("purchase", "failure"),
    "payment_customer": "delete from faregate.payment_customer where wallet_id = :subject returning 1",
    "purchase": """
    update faregate.purchase set key = null, url = null, failure = null
    where wallet_id = :subject and (key is not null or url is not null or failure is not null) returning 1
    """,
    "top_up": "update faregate.top_up set detail = null where wallet_id = :subject and detail is not null returning 1",
}
