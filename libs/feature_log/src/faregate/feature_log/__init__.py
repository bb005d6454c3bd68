"""Feature logs: the redacted record of every request to a feature."""
