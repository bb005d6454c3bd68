"""Code shared by the client and the servers; pure, without a database."""
