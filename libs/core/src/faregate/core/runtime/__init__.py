"""Process utilities: event loop, batching, bounded caches, private files."""
