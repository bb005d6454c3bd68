"""Entry point of `faregate` and of `python -m faregate.cli`."""

import gc
import signal

from faregate.core.runtime.gc_tuning import collect_seldom

__all__ = ["run"]


def run() -> None:
    """Run one command. Until its modules are loaded, Ctrl-C ends the process at once and without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    collect_seldom()
    from faregate.cli.main import main, terminate

    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on `main` handles it
    signal.signal(signal.SIGTERM, terminate)
    try:
        main()
    finally:
        gc.freeze()  # the interpreter would look at all objects several times before it ends: a fifth of a short command


if __name__ == "__main__":  # spawned gateway processes import this module and must not run the command again
    run()
