"""Service-level objectives with error budgets and burn-rate alerts."""
