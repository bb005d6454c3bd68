"""Outgoing events, webhook endpoints, their signatures and allowed addresses."""
