"""Services of the ledger: operations, corrections, statements, limits and top-ups."""
