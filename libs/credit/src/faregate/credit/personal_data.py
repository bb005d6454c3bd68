"""What the ledger holds on a person. Transfers stay as they are: they are the books, and name nobody but by number."""

from faregate.core.personal_data import actor_erasure

__all__ = ["CREDIT_ERASURES", "CREDIT_EXPORTS"]

CREDIT_EXPORTS = {
    "wallet": """
    select to_json(t)::text from (
      select (credits - debits) / 1000000.0 as balance, held / 1000000.0 as held, plan, status, created_at
      from faregate.wallet where wallet_id = :subject) t
    """,
    "grant": """
    select to_json(t)::text from (
      select grant_id, source, reason, effective_at, expires_at
      from faregate.credit_grant where wallet_id = :subject order by grant_id) t
    """,
    "charge": """
    select to_json(t)::text from (
      select usage_key, feature_key, status, consumed / 1000000.0 as credits_consumed, charged / 1000000.0 as credits_charged,
        metadata, close_reason, created_at, settled_at
      from faregate.charge where subject_id = :subject order by created_at) t
    """,
    "transfer": """
    select to_json(t)::text from (
      select seq, amount / 1000000.0 as credits, balance_after / 1000000.0 as balance_after, usage_key, reason, created_at
      from faregate.transfer where wallet_id = :subject order by seq) t
    """,
}

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
    "grant_void_actor": """
    update faregate.credit_grant set void_note = jsonb_set(void_note, '{actor}', to_jsonb(cast(:tombstone as text)))
    where void_note->>'actor' = any(cast(:actors as text[])) returning 1
    """,
    "grant_actor": actor_erasure("credit_grant"),
    "top_up": "update faregate.top_up set detail = null where wallet_id = :subject and detail is not null returning 1",
}
