"""Secrets leave the environment of the process, so that ``/proc/<pid>/environ`` does not show them.

That file shows for as long as a process lives what it was started with, whatever it deletes later, and each
worker inherits the page from the arbiter. So the process executes itself once more, with the same id,
arguments and working directory, and passes the secrets to itself through a pipe.
"""

import json
import os
import signal
import sys
from collections.abc import Collection, Mapping

_PIPE = "_DATASTORAGE_SECRETS"
"""Variable with the descriptor of the pipe."""


def take_secrets(names: Collection[str]) -> Mapping[str, str]:
    """Return the secrets among the variables; a process that was started with them starts again without.

    A SIGTERM that arrives in between waits until the new start can handle it.
    """
    environ = os.environ  # noqa: TID251 - what is passed on is not read
    if _PIPE in environ:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        with os.fdopen(int(environ.pop(_PIPE)), encoding="utf-8") as pipe:
            secrets: dict[str, str] = json.load(pipe)
        return secrets
    found = {name: environ[name] for name in names if name in environ}
    if found:
        kept = {name: value for name, value in environ.items() if name not in found}
        kept[_PIPE] = str(_pipe_with(json.dumps(found)))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.execve(sys.executable, sys.orig_argv, kept)  # noqa: S606 - ourselves
    return {}


def _pipe_with(text: str) -> int:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.set_blocking(writer, False)  # more than a pipe holds, 64 KiB, has to fail and not to hang
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        pipe.write(text)
    return reader
