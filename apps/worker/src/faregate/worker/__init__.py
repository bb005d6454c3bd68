"""The worker: settles what is published, runs what is scheduled."""
