"""HTTP gateway of Faregate."""
