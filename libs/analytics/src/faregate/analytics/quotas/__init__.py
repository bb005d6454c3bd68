"""Quotas: how much of a meter an owner may use in a period, who is told when it runs low, and when it will be gone."""
