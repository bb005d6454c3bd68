"""Analytics, quotas, alerts and exports of usage."""
