"""Leases: blocks of credits that are spent locally."""
