"""`python -m faregate.cli`."""

from faregate.cli.main import main

if __name__ == "__main__":  # gateway processes that are spawned import this, and must not start over
    main()
