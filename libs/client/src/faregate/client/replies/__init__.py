"""Usage reported in provider replies."""
