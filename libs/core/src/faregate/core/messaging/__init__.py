"""Messages and their transports: PostgreSQL or RabbitMQ."""
