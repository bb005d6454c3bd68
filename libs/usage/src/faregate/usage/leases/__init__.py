"""Leases: blocks of credits for clients that decide locally."""
