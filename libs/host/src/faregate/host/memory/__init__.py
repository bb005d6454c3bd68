"""Libraries on data in memory, for tests of hosts."""
