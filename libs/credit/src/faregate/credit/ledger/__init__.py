"""Rules of the ledger. Pure: lock, decide, write once."""
