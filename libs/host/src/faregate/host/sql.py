"""SQL in the transactions of a host."""

__all__ = ["MESSAGE_ADD", "PLACE"]

PLACE = """
select current_setting('transaction_isolation') as isolation, current_database() as name,
  (select system_identifier from pg_control_system()) || '/' || d.oid as place
from pg_database d where d.datname = current_database()
"""
"""The isolation of the transaction, and what identifies the server and the database."""

MESSAGE_ADD = """
insert into faregate.message (message_id, queue, body, headers)
select cast(:message_id as uuid), cast(:queue as text), convert_to(cast(:body as text), 'UTF8'), cast(:headers as jsonb)
from pg_database d
where d.datname = current_database()
  and (select system_identifier from pg_control_system()) || '/' || d.oid = cast(:place as text)
"""
"""One message of the outbox, by any driver; none if this is another database than Faregate's."""
