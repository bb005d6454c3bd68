"""Authentication: keys, tokens and client addresses."""
