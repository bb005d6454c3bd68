"""Quotas, alerts and predictions of use."""
