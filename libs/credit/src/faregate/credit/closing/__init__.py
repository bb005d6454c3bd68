"""Monthly close: statements, paid value and journal."""
