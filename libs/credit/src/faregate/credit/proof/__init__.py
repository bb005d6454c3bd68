"""Proof of the ledger: everything derived again from its transfers."""
