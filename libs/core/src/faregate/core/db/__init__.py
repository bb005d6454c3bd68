"""PostgreSQL: connections, transactions, migrations, partitions and cached tables."""
