"""Health, heartbeats and gauges of a deployment."""
