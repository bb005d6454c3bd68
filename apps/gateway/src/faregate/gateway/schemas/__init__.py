"""Request bodies and answers of the HTTP calls.

Each module also builds its answers from the values of the libraries.
"""
