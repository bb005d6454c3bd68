"""Provider bills: import, matching with usage lines, differences."""
