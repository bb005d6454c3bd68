"""Metrics, tracing and access logs of requests."""
