"""Usage in provider replies."""
