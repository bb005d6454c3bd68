"""Console whose output may be piped to a program that ends early."""

from typing import NoReturn

from rich.console import Console

__all__ = ["PipedConsole"]


class PipedConsole(Console):
    """Raises `BrokenPipeError` when the reader of its output has gone; Rich would exit with 1."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError
