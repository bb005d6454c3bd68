"""Values of every library: ids, credits, moments, time zones, exact JSON."""
