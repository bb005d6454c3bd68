"""Commands about wallets, grants and the ledger."""
