"""Transport on RabbitMQ.

Import it only if a broker is configured: it needs the extra `rabbitmq`.
"""
