"""Fake gateway for the tests of hosts."""
