"""The ways by which alerts leave the house."""
