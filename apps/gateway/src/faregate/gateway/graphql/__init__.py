"""GraphQL over HTTP: the schema, its limits, its answers and the explorer."""
