"""Users, organisations, subscriptions and wallets."""
