"""Commands that demonstrate, load and disturb a private deployment."""
