"""API keys, the audit log and stored idempotent answers."""
