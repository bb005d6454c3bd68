"""Questions: time range, filters, dimensions and calendar. Pure."""
