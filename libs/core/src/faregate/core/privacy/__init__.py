"""Personal data: where it is, how it is shown and erased."""
