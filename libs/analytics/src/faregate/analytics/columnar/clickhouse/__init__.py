"""ClickHouse as the place of the columnar copy."""
