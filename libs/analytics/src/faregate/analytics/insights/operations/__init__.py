"""Objectives, incidents and capacity: insights for those who operate the deployment."""
