"""Dates on which wallets and quotas run out."""
