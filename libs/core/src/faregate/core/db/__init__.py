"""PostgreSQL: connections, transactions, migrations, partitions and what is cached of its tables."""
