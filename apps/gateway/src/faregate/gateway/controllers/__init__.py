"""Controllers of the HTTP calls."""
