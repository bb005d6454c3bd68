"""`faregate completion`: scripts that complete commands and options in a shell."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from faregate.cli.shared.output import errors

__all__ = ["completion"]

Shell = Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell that you use.")]


def completion(
    shell: Shell,
    *,
    install: Annotated[
        bool,
        Parameter(
            help="Write the script to where the shell looks for it, and name it in the shell's start file.", negative=""
        ),
    ] = False,
) -> None:
    """Print the script that completes commands and options in a shell, or install it."""
    from faregate.cli.main import BENCHMARKS, command_line

    app = command_line()
    if find_spec(BENCHMARKS) is None:
        del app["bench"]
    if not install:
        sys.stdout.write(app.generate_completion(shell=shell))
        return
    written: Path = app.install_completion(shell=shell)
    errors.print(f"{written} is written; open a new shell", highlight=False, markup=False, soft_wrap=True)
