"""Worker: consumers of queues and scheduled jobs."""
