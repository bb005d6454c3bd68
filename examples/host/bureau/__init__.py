"""A translation bureau: its own application, with Faregate inside."""
