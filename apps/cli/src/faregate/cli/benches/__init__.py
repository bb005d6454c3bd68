"""What `faregate bench` measures."""
