"""Reports by mail: the loop of the worker and the mail server."""
