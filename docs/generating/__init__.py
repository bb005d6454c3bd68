"""Writers of the generated pages and pictures; `docs/generate.py` calls them."""
