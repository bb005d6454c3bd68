"""HTTP layer: routing, request bodies, responses, idempotency and rate limits."""
