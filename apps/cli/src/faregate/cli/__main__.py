"""`python -m faregate.cli`."""

from faregate.cli.main import main

if __name__ == "__main__":  # spawned gateway processes import this module and must not run the command again
    main()
