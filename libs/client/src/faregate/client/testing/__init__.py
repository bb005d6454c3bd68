"""The client's fake gateway for hosts' tests."""
