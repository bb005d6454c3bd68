"""Verification of the ledger: stored values derived again from transfers."""
