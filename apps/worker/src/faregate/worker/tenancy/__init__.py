"""One worker for many tenants."""
