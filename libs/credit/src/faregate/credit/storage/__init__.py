"""All SQL that reads and writes the ledger."""
