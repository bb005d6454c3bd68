"""Delivery channels of alerts."""
