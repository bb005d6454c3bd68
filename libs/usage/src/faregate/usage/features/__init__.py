"""Features and plans as operators define them."""
