"""Reports by mail: subscriptions, contents, deliveries."""
