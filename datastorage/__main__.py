"""``python -m datastorage``, and the console script of the same name."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line.

    As process 1 of a container the default action of SIGTERM is "ignore", and elsewhere it is an exit
    code that looks like a crash. ``serve`` promises to leave with 0 at any moment, so its handler comes
    before the imports, which take longer than everything before gunicorn's own handler together.
    """
    if "serve" in sys.argv:
        signal.signal(signal.SIGTERM, _exit_at_once)
        # It may have been blocked while the process executed itself again: platform/server/handover.py.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    from datastorage import cli

    cli.main()


def _exit_at_once(_signal: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    main()
