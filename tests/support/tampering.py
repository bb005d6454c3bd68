"""Tampering with a ledger by direct SQL: edits, deletions, insertions, reorderings."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Case", "cases"]


@dataclass(frozen=True)
class Case:
    """One statement that bypasses the ledger. `{row}` is the row's position among those it may change."""

    name: str
    sql: str


_TRANSFER_EDITS = {
    "amount": "amount + 1",
    "balance_after": "balance_after - 1",
    "kind": "case kind when 2 then 10 else 2 end",
    "debit_account": "case debit_account when 7 then 3 else 7 end",
    "credit_account": "case credit_account when 4 then 3 else 4 end",
    "corrects_seq": "coalesce(corrects_seq, 0) + 1",
    "usage_key": "coalesce(usage_key, '') || 'x'",
    "operation_key": "coalesce(operation_key, '') || 'x'",
    "actor": "case when actor is null then '' end",
    "reason": "reason is null",
    "effective_at": "effective_at + interval '1 microsecond'",
    "created_at": "created_at - interval '1 microsecond'",
    "hash": "set_byte(hash, 7, (get_byte(hash, 7) + 1) % 256)",
    "seq": "seq + 1000",
    "wallet_id": "wallet_id + 1000",
}
_WALLET_EDITS = {
    "credits": "credits + 1",
    "debits": "debits - 1",
    "held": "held - 1",
    "earmarked": "earmarked - 1",
    "debt": "debt + 1",
    "last_seq": "last_seq + 1",
    "head_hash": "decode(repeat('00', 32), 'hex')",
    "changed_at": "changed_at + interval '1 second'",
    "next_change_at": "null",
    "top_up_order": "gen_random_uuid()",
}
_GRANT_EDITS = {
    "amount": "amount + 1",
    "remaining": "remaining + 1",
    "held": "held + 1",
    "source": "case source when 'purchase' then 'bonus' else 'purchase' end",
    "burn_class": "1 - burn_class",
    "wallet_id": "wallet_id + 1000",
    "features": "case when features is null then array['f'] end",
    "grant_id": "gen_random_uuid()",
}
_CHARGE_EDITS = {
    "charged": "charged + 1",
    "shortfall": "shortfall + 1",
    "consumed": "consumed + 1",
    "first_seq": "first_seq + 1",
    "balance_after": "balance_after + 1",
    "flags": "flags # 8",
    "settled_at": "null",
    "wallet_id": "wallet_id + 1000",
    "usage_key": "usage_key || 'x'",
    "status": "2",
    "rule": "case rule when 'recorded' then 'individual' else 'recorded' end",
    "subject_id": "subject_id + 1000",
    "organization_id": "coalesce(organization_id, 0) + 1000",
}
_OPEN_EDITS = {
    "hold": "hold + 1",
    "wallet_id": "wallet_id % 5 + 1",
    "status": "2, closed_at = now()",
}
_SLICE_EDITS = {
    "amount": "amount + 1",
    "grant_id": "(select grant_id from faregate.credit_grant g where g.grant_id <> t.grant_id order by 1 limit 1)",
    "seq": "seq + 1000",
    "wallet_id": "wallet_id + 1000",
}


def cases() -> Iterator[Case]:
    """Return every case, always in the same order."""
    for column, value in _TRANSFER_EDITS.items():
        yield from _edits("transfer", "wallet_id, seq", column, value, rows=6)
    for column, value in _WALLET_EDITS.items():
        some = {"next_change_at": "next_change_at is not null", "held": "held > 0", "earmarked": "earmarked > 0"}
        yield from _edits("wallet", "wallet_id", column, value, rows=3, where=some.get(column, "true"))
    for column, value in _GRANT_EDITS.items():
        some = {"features": "remaining > 0", "held": "remaining > held", "remaining": "active"}
        where = some.get(column, "exists (select from faregate.grant_slice s where s.grant_id = t.grant_id)")
        yield from _edits("credit_grant", "created_at, key, grant_id", column, value, rows=4, where=where)
    for column, value in _CHARGE_EDITS.items():
        yield from _edits("charge", "usage_key", column, value, rows=3, where="status = 1 and charged > 0")
    for column, value in _OPEN_EDITS.items():
        yield from _edits("charge", "usage_key", column, value, rows=3, where="status = 0")
    for column, value in _SLICE_EDITS.items():
        yield from _edits("grant_slice", "wallet_id, seq", column, value, rows=4)
    yield from _deletions()
    yield from _insertions()
    yield from _reorderings()
    yield from _others()


def _edits(table: str, order: str, column: str, value: str, *, rows: int, where: str = "true") -> Iterator[Case]:
    for row in range(rows):
        yield Case(
            f"edit {table}.{column}, row {row}",
            f"update faregate.{table} t set {column} = {value} where ctid = ({_pick(table, order, where, row)})",
        )


def _pick(table: str, order: str, where: str, row: int) -> str:
    """Return the rows evenly spread over the table, by their position in `order`."""
    return f"""select ctid from (
        select ctid, row_number() over (order by {order}) as n, count(*) over () as of
        from faregate.{table} t where {where}) r
      where n = 1 + {row} * 7919 % of"""


def _deletions() -> Iterator[Case]:
    of = {"transfer": ("wallet_id, seq", 8, "true"), "grant_slice": ("wallet_id, seq", 6, "true")}
    of["wallet"] = ("wallet_id", 3, "true")
    of["credit_grant"] = ("created_at, key, grant_id", 4, "active and amount > 0 and remaining > 0")
    of["charge"] = ("usage_key", 4, "status = 0 or charged + shortfall > 0")
    of["top_up"] = ("order_id", 1, "status = 'requested'")
    for table, (order, rows, where) in of.items():
        for row in range(rows):
            yield Case(
                f"delete {table}, row {row}",
                f"delete from faregate.{table} where ctid = ({_pick(table, order, where, row)})",
            )
    for wallet in (1, 2, 3):
        yield Case(
            f"cut the tail of wallet {wallet}",
            f"""with cut as (delete from faregate.transfer where wallet_id = {wallet} and seq =
              (select last_seq from faregate.wallet where wallet_id = {wallet}) returning seq)
            update faregate.wallet w set last_seq = last_seq - 1, head_hash = (select hash from faregate.transfer t
              where t.wallet_id = {wallet} and t.seq = w.last_seq - 1) where wallet_id = {wallet}""",
        )
        yield Case(
            f"remove transfer 2 of wallet {wallet} and close the gap",
            f"""delete from faregate.transfer where wallet_id = {wallet} and seq = 2;
            update faregate.transfer set seq = seq - 1001 where wallet_id = {wallet} and seq > 2;
            update faregate.transfer set seq = seq + 1000 where wallet_id = {wallet} and seq < 0;
            update faregate.wallet set last_seq = last_seq - 1 where wallet_id = {wallet}""",
        )


def _insertions() -> Iterator[Case]:
    copied = "kind, debit_account, credit_account, amount, balance_after, effective_at, created_at, hash"
    for wallet, seq in ((1, 1), (1, 6), (2, 2), (3, 2)):
        source = f"from faregate.transfer where wallet_id = {wallet} and seq = {seq}"
        yield Case(
            f"insert a copy of {wallet}-{seq} at the end",
            f"""insert into faregate.transfer (wallet_id, seq, {copied})
            select wallet_id, (select last_seq + 1 from faregate.wallet where wallet_id = {wallet}), {copied} {source}""",
        )
        yield Case(
            f"insert a copy of {wallet}-{seq} for a wallet that is not there",
            f"insert into faregate.transfer (wallet_id, seq, {copied}) select 77, 1, {copied} {source}",
        )
        yield Case(
            f"insert a copy of {wallet}-{seq} before the first",
            f"insert into faregate.transfer (wallet_id, seq, {copied}) select wallet_id, 0, {copied} {source}",
        )
    for key in ("a1", "use-2", "b1"):
        yield Case(
            f"insert a settled charge like {key}",
            f"""insert into faregate.charge (usage_key, wallet_id, subject_id, feature_key, rule, status, consumed, charged,
              first_seq, balance_after, closed_at, settled_at)
            select usage_key || '-copy', wallet_id, subject_id, feature_key, rule, status, consumed, charged, first_seq,
              balance_after, closed_at, settled_at from faregate.charge where usage_key = '{key}'""",
        )
    for wallet in (1, 2, 3):
        yield Case(
            f"insert an open charge for wallet {wallet}",
            f"""insert into faregate.charge (usage_key, wallet_id, subject_id, feature_key, rule, status, hold)
            values ('new', {wallet}, {wallet}, 'f', 'individual', 0, 1)""",
        )
        yield Case(
            f"insert a grant for wallet {wallet}",
            f"""insert into faregate.credit_grant (grant_id, wallet_id, source, burn_class, priority, amount, remaining,
              effective_at, active) values (gen_random_uuid(), {wallet}, 'bonus', 0, 1, 5, 5, now(), true)""",
        )
        yield Case(
            f"insert slices for wallet {wallet} that cancel out",
            f"""insert into faregate.grant_slice (wallet_id, seq, grant_id, amount)
            select {wallet}, 900 + n, (select grant_id from faregate.credit_grant where wallet_id = {wallet} limit 1),
              case n when 1 then 5 else -5 end from generate_series(1, 2) n""",
        )


def _reorderings() -> Iterator[Case]:
    for wallet, one, other in ((1, 6, 7), (1, 1, 2), (1, 17, 18), (2, 10, 11), (2, 3, 4), (3, 1, 2), (5, 1, 2)):
        where = f"wallet_id = {wallet} and seq"
        yield Case(
            f"swap {one} and {other} of wallet {wallet}",
            f"""update faregate.transfer set seq = -1 where {where} = {one};
            update faregate.transfer set seq = {one} where {where} = {other};
            update faregate.transfer set seq = {other} where {where} = -1""",
        )
        for column in ("hash", "usage_key", "amount"):
            if column == "amount" and (wallet, one) == (2, 10):
                continue  # both are 1
            if column == "usage_key" and one == 1:
                continue  # both have none, or the check above covers them
            yield Case(
                f"swap {column} of {one} and {other} of wallet {wallet}",
                f"""update faregate.transfer t set {column} = o.{column} from faregate.transfer o
                where t.wallet_id = {wallet} and t.seq in ({one}, {other}) and o.wallet_id = t.wallet_id and o.seq = {one} + {other} - t.seq""",
            )
    for one, other in ((6, 8), (7, 12), (29, 31)):
        yield Case(
            f"swap the slices of 1-{one} and 1-{other}",
            f"""update faregate.grant_slice set seq = seq - 1000 where wallet_id = 1 and seq = {one};
            update faregate.grant_slice set seq = {one} where wallet_id = 1 and seq = {other};
            update faregate.grant_slice set seq = {other} where wallet_id = 1 and seq = {one} - 1000""",
        )
    for first, second in (("a0", "a1"), ("b1", "b2"), ("b4", "b5")):
        yield Case(
            f"swap the charges {first} and {second}",
            f"""update faregate.charge set usage_key = 'between' where usage_key = '{first}';
            update faregate.charge set usage_key = '{first}' where usage_key = '{second}';
            update faregate.charge set usage_key = '{second}' where usage_key = 'between'""",
        )


def _others() -> Iterator[Case]:
    yield Case("edit spend_limit.held", "update faregate.spend_limit set held = held + 1")
    yield Case("edit spend_limit.held to 0", "update faregate.spend_limit set held = 0")
    yield Case("declare an order paid", "update faregate.top_up set status = 'paid' where status = 'requested'")
    yield Case("declare an order declined", "update faregate.top_up set status = 'declined' where status = 'requested'")
    yield Case("declare an order open again", "update faregate.top_up set status = 'requested' where status = 'paid'")
    yield Case("edit a paid order", "update faregate.top_up set amount = amount + 1 where status = 'paid'")
    yield Case("move a paid order", "update faregate.top_up set wallet_id = 1 where status = 'paid'")
    yield Case("forget an order", "update faregate.wallet set top_up_order = null where top_up_order is not null")
    yield Case(
        "hold from another grant", "update faregate.charge set hold_grants = null where usage_key = 'open image'"
    )
