"""Dashboard and customers' page: their files, and sign-in by OpenID Connect."""
