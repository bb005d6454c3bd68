"""Transport to the gateway and the broker."""
