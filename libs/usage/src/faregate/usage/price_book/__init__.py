"""Prices of a deployment, their changes, and repricing of settled uses."""
