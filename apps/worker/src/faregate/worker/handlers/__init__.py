"""From bytes to commands: one module per kind of message."""
