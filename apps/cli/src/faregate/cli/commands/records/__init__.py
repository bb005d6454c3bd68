"""Commands about usage, quotas, logs and audit."""
