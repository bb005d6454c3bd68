"""API keys, the audit log and kept idempotent answers."""
