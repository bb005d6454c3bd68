"""Meters: built in and declared."""
