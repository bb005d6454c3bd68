"""`python -m faregate.cli`."""

from faregate.cli.main import main

main()
