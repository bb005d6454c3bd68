"""What use adds up to: quotas and alerts, exports."""
