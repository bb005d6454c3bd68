"""Commands that show, replay and break a private deployment."""
