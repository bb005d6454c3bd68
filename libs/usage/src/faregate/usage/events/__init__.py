"""Usage events: validation, identity, storage and history."""
