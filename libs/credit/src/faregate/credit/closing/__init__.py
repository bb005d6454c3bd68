"""Monthly close: statements, paid value and journal of months that no longer change."""
