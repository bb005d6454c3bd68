"""Documents for printing."""
