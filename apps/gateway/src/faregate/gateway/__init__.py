"""The gateway: Faregate over HTTP."""
