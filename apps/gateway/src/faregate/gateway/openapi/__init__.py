"""The OpenAPI document, built from the declarations that route, guard and validate."""
