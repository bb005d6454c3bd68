"""Test support: servers, builders, and fakes for extension points."""
