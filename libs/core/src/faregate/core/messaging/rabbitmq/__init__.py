"""The RabbitMQ transport. Import it only where a broker is configured: it needs the extra `rabbitmq`."""
