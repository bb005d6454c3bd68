"""Bodies and answers of the HTTP calls, a module per area, with the way from the libraries' values to them."""
