"""What tests share: servers to start, builders, fakes for host seams."""
