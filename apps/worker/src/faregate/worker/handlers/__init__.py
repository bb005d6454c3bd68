"""Handlers of messages, one module for each kind."""
