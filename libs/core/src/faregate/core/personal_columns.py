"""What an erasure does with each column of the core that can hold text.

Every text, JSON and byte column of every library stands in such a table; a test holds it to the database's catalogue.
"""

from collections.abc import Mapping

__all__ = ["CORE_COLUMNS", "ENUM", "ERASED", "NAME", "OURS"]

ERASED = "erased"
"""Rewritten, emptied or deleted where it names the person; every other entry is why a column stays as it is."""

ENUM = "one of our own words, or of a standard"
NAME = "the name of a thing that other rows refer to; callers choose names of things, not of people"
OURS = "made by us: an id, a digest, a number or a form that names nobody"

CORE_COLUMNS: Mapping[str, str] = {
    "api_key.key_id": OURS,
    "api_key.client": OURS,
    "api_key.name": ERASED,
    "api_key.environment": ENUM,
    "api_key.secret_hash": OURS,
    "api_key.scopes": ENUM,
    "api_key.allowed_ips": "addresses of servers",
    "api_key.created_by": ERASED,
    "api_key.minted_by": OURS,
    "audit_entry.actor": "a credential, or `user` beside a subject's number; never changed",
    "audit_entry.action": ENUM,
    "audit_entry.target": "ids of things from the path of the call; people stand in it by number; never changed",
    "audit_entry.before_hash": OURS,
    "audit_entry.after_hash": OURS,
    "audit_entry.request_id": "an id of the request; never changed",
    "heartbeat.instance": "the name of a process and its host",
    "heartbeat.role": ENUM,
    "idempotent_answer.credential": OURS,
    "idempotent_answer.key": ERASED,
    "idempotent_answer.request_hash": OURS,
    "idempotent_answer.body": ERASED,
    "message.queue": ENUM,
    "message.body": ERASED,
    "message.headers": ERASED,
    "message.dead_reason": ERASED,
    "scheduled_job.name": ENUM,
    "scheduled_job.last_error": ERASED,
    "subject.external_id": ERASED,
    "subject.email": ERASED,
    "version.name": ENUM,
    "webhook_delivery.event_id": OURS,
    "webhook_delivery.event_type": ENUM,
    "webhook_delivery.payload": ERASED,
    "webhook_delivery.status": ENUM,
    "webhook_delivery.history": ERASED,
    "webhook_endpoint.url": "where events are sent: to change it would send them elsewhere; change or delete the webhook",
    "webhook_endpoint.events": ENUM,
    "webhook_endpoint.secret": OURS,
    "webhook_endpoint.previous_secret": OURS,
    "webhook_endpoint.description": ERASED,
    "webhook_endpoint.created_by": ERASED,
    "webhook_endpoint.disabled_reason": ERASED,
}
