"""Purchases of credits through Stripe: checkout, webhooks, refunds, disputes."""
