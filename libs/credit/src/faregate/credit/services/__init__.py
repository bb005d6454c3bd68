"""Use cases of the ledger, each in the caller's transaction."""
