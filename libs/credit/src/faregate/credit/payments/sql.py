# ruff: noqa: S608
"""SQL of payments."""

__all__ = [
    "CUSTOMER_FORGET",
    "CUSTOMER_GET",
    "CUSTOMER_SAVE",
    "EVENT_ADD",
    "EVENT_CLAIM",
    "EVENT_FACTS",
    "EVENT_LIST",
    "EVENT_WAITING",
    "LINK_LOCK",
    "LINK_SET",
    "PURCHASE_ADD",
    "PURCHASE_BY_KEY",
    "PURCHASE_GET",
    "PURCHASE_LIST",
    "PURCHASE_LOCK",
    "PURCHASE_OPENED",
    "PURCHASE_SETTLED",
]

_PURCHASE = """p.purchase_id, p.wallet_id, p.package, p.credits, p.amount, p.currency, p.order_id, p.status, p.granted, p.taken,
  p.lost, p.returned, p.url, p.failure, p.created_at, p.paid_at,
  (select min(l.payment_intent) from faregate.payment_link l where l.purchase_id = p.purchase_id) as payment_intent"""

PURCHASE_ADD = """
insert into faregate.purchase (purchase_id, wallet_id, package, credits, amount, order_id, key)
values (:purchase_id, :wallet_id, :package, :credits, :amount, cast(:order_id as uuid), cast(:key as text))
on conflict do nothing
"""

PURCHASE_GET = f"select {_PURCHASE} from faregate.purchase p where p.purchase_id = :purchase_id"

PURCHASE_BY_KEY = f"select {_PURCHASE} from faregate.purchase p where p.wallet_id = :wallet_id and p.key = :key"

PURCHASE_LOCK = "select 1 as found from faregate.purchase where purchase_id = :purchase_id for update"

PURCHASE_OPENED = """
update faregate.purchase set session_id = :session_id, url = :url where purchase_id = :purchase_id
"""

PURCHASE_SETTLED = """
update faregate.purchase set status = :status, granted = cast(:granted as bigint), taken = :taken, lost = :lost,
  returned = :returned,
  failure = coalesce(cast(:failure as text), failure), url = case when cast(:granted as bigint) > 0 then null else url end,
  paid_at = case when cast(:granted as bigint) > 0 then coalesce(paid_at, clock_timestamp()) end
where purchase_id = :purchase_id
"""

PURCHASE_LIST = f"""
select {_PURCHASE}, s.external_id from faregate.purchase p join faregate.subject s on s.subject_id = p.wallet_id
where (cast(:owner_id as text) is null or s.external_id = :owner_id)
  and (cast(:status as text) is null or p.status = :status)
  and (cast(:before_at as timestamptz) is null or (p.created_at, p.purchase_id) < (:before_at, cast(:before_id as uuid)))
order by p.created_at desc, p.purchase_id desc limit :limit
"""

EVENT_ADD = """
insert into faregate.payment_event (event_id, type, object_id, purchase_id, payment_intent, facts, occurred_at)
values (:event_id, :type, :object_id, cast(:purchase_id as uuid), cast(:payment_intent as text),
  cast(cast(:facts as text) as jsonb), :occurred_at)
on conflict (event_id) do nothing returning 1 as added
"""

EVENT_CLAIM = """
update faregate.payment_event set purchase_id = :purchase_id
where payment_intent = :payment_intent and purchase_id is distinct from :purchase_id
"""
"""Events of the payment that came before its purchase was known now belong to it."""

EVENT_FACTS = "select facts from faregate.payment_event where purchase_id = :purchase_id"

_EVENT = "event_id, type, object_id, purchase_id, payment_intent, facts, occurred_at, received_at"

EVENT_LIST = f"""
select {_EVENT} from faregate.payment_event where purchase_id = :purchase_id order by occurred_at, event_id limit 1000
"""

EVENT_WAITING = f"""
select {_EVENT} from faregate.payment_event e
where not exists (select from faregate.purchase p where p.purchase_id = e.purchase_id)
order by received_at desc, event_id limit :limit
"""

LINK_LOCK = """
insert into faregate.payment_link as l (payment_intent) values (:payment_intent)
on conflict (payment_intent) do update set payment_intent = l.payment_intent returning purchase_id
"""
"""Locks the row of the payment, also if another transaction is about to insert it: of two events of one payment, the second
sees what the first has stored."""

LINK_SET = "update faregate.payment_link set purchase_id = :purchase_id where payment_intent = :payment_intent"

CUSTOMER_GET = "select customer, method from faregate.payment_customer where wallet_id = :wallet_id"

CUSTOMER_SAVE = """
insert into faregate.payment_customer as c (wallet_id, customer, method, saved_at)
values (:wallet_id, :customer, :method, :saved_at)
on conflict (wallet_id) do update set customer = excluded.customer, method = excluded.method, saved_at = excluded.saved_at
where c.saved_at <= excluded.saved_at
"""
"""The latest payment method counts, in whatever order the events come."""

CUSTOMER_FORGET = """
update faregate.payment_customer c set method = null, saved_at = clock_timestamp()
from (select method from faregate.payment_customer where wallet_id = :wallet_id for update) before
where c.wallet_id = :wallet_id and before.method is not null returning before.method
"""
