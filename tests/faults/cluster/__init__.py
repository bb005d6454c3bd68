"""Fault tests on a RabbitMQ cluster and on a PostgreSQL with failover: machines are killed, frozen and cut off.

`faregate chaos --cluster`, from a checkout. Each machine is a network namespace, which needs root.
"""
