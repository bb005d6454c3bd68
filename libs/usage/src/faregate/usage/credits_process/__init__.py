"""The credits process: start, run, settle."""
