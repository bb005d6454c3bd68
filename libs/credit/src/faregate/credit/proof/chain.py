# ruff: noqa: S608
"""Verification of the hash chains against transfers and grant slices."""

from faregate.credit.ledger.accounts import FLOWS, TransferKind
from faregate.credit.proof.checks import Check, codes, wrong

__all__ = ["CHAIN", "LINK"]

_TEXTS = ("usage_key", "operation_key", "actor", "reason")
_GENESIS = "decode(repeat('00', 32), 'hex')"


def _framed(column: str) -> str:
    return f"coalesce(int4send(octet_length({column})) || convert_to({column}, 'UTF8'), '\\xffffffff')"


LINK = f"""sha256(coalesce(t.previous_hash, {_GENESIS})
  || int8send(t.wallet_id) || int8send(t.seq) || int2send(t.kind) || int2send(t.debit_account) || int2send(t.credit_account)
  || int8send(t.amount) || int8send(t.balance_after) || int8send(coalesce(t.corrects_seq, 0))
  || timestamptz_send(t.effective_at) || timestamptz_send(t.created_at)
  || {" || ".join(_framed(f"t.{name}") for name in _TEXTS)}
  || coalesce(int4send(octet_length(s.parts)) || s.parts, '\\x00000000'))"""
"""The bytes of `chain.link` for a transfer `t` (with the hash before it) and its slices `s`."""

_FLOWS = ", ".join(
    sorted(
        f"{kind * 100 + debit * 10 + credit}"
        for kind, (debits, credits) in FLOWS.items()
        for debit in debits
        for credit in credits
    )
)
_PUT = codes(TransferKind.GRANT, TransferKind.REFUND, TransferKind.REINSTATEMENT)
_UNSLICED = codes(TransferKind.LIMIT_CHARGE, TransferKind.SHORTFALL, TransferKind.CHARGEBACK_DEBT)

_CHECKS = wrong(
    Check("transfer", "t.seq is null", "'no row'", "'a row'"),
    Check("seq", "t.seq <> coalesce(t.previous_seq, 0) + 1", "t.seq", "coalesce(t.previous_seq, 0) + 1"),
    Check("hash", "t.hash <> t.derived_hash", "encode(t.hash, 'hex')", "encode(t.derived_hash, 'hex')"),
    Check("balance_after", "t.balance_after <> t.derived_balance", "t.balance_after", "t.derived_balance"),
    Check(
        "accounts",
        f"t.kind * 100 + t.debit_account * 10 + t.credit_account <> all (array[{_FLOWS}])",
        "t.debit_account || ' to ' || t.credit_account",
        "'accounts of kind ' || t.kind",
    ),
    Check(
        "slices",
        f"""case when t.kind in ({_PUT}) then t.moved not between 0 and t.amount
     when t.kind in ({_UNSLICED}) then t.moved <> 0 else t.moved <> -t.amount end""",
        "t.moved",
        f"""case when t.kind in ({_PUT}) then '0 to ' || t.amount
     when t.kind in ({_UNSLICED}) then '0' else (-t.amount)::text end""",
    ),
    Check("effective_at", "t.effective_at < t.previous_at", "t.effective_at", "'not before ' || t.previous_at"),
    Check("corrects_seq", "t.corrects_seq not between 1 and t.seq - 1", "t.corrects_seq", "'a transfer before it'"),
)

CHAIN = f"""
with part as (
  select t.*, lag(t.seq) over w as previous_seq, lag(t.balance_after) over w as previous_balance,
    lag(t.hash) over w as previous_hash, lag(t.effective_at) over w as previous_at
  from ({{part}}) t
  window w as (partition by t.wallet_id order by t.seq)
), parts as (
  select wallet_id, seq, string_agg(uuid_send(grant_id) || int8send(amount), '') as parts, sum(amount) as moved
  from (select s.* from ({{slices}}) s order by s.wallet_id, s.seq, s.grant_id) s
  group by wallet_id, seq
), looked as (
  select t.*, s.wallet_id as sliced_wallet_id, s.seq as sliced_seq, coalesce(s.moved, 0) as moved, {LINK} as derived_hash,
    coalesce(t.previous_balance, 0) + case when t.credit_account = 1 then t.amount else 0 end
      - case when t.debit_account = 1 then t.amount else 0 end as derived_balance
  from part t full join parts s on s.wallet_id = t.wallet_id and s.seq = t.seq
)
select coalesce(t.wallet_id, t.sliced_wallet_id) as wallet_id, coalesce(t.seq, t.sliced_seq) as seq, t.usage_key as item,
  c.check_name, c.stored, c.derived
from looked t
{_CHECKS.replace("{", "{{").replace("}", "}}")} and ({{counted}})
order by 1, 2 limit 100
"""
