"""HTTP: routing, bodies, answers, idempotency and limits."""
