"""Statistics, trends and peaks of one meter or measure."""
