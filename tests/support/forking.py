"""A function in a process of its own, forked from the tests: it has imported everything already."""

import faulthandler
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["forked"]

_SECONDS = 60
"""After which a child that does not end shows where it stands, and ends."""


def forked(work: Callable[[], object], directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run `work` in `directory`, which is importable; return the exit code and all that it wrote."""
    with tempfile.TemporaryFile() as out:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of threads, of which the child uses none
            pid = os.fork()
        if pid == 0:
            _end(work, directory, environment, out.fileno())
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        return os.waitstatus_to_exitcode(status), out.read().decode()


def _end_late_with_traceback() -> None:
    """Set the alarm of the child. A traceback that pytest has asked for by thread cannot be replaced: no thread is forked."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, file=sys.stderr, chain=True)
    signal.alarm(_SECONDS)


def _end(work: Callable[[], object], directory: Path, environment: Mapping[str, str], out: int) -> None:
    """Do the work as the child, and end."""
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = sys.stderr = os.fdopen(1, "w")
        _end_late_with_traceback()
        os.chdir(directory)
        os.environ.update(environment)
        sys.path.insert(0, str(directory))
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the child tells its parent, and must not return into its tests
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
