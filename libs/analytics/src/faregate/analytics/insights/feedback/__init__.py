"""Feedback of users on uses, and their satisfaction."""
