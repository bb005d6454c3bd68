"""What the client and the servers share: pure, without a database."""
