"""Types of the GraphQL schema."""
