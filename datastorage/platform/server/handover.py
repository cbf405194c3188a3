"""Secrets leave the environment of the process, so that ``/proc/<pid>/environ`` does not show them.

What a process was started with stays readable there for as long as it lives, whatever it deletes later,
and each worker inherits that page from the arbiter. So the process executes itself once more, with the
same id, arguments and place, and hands itself the secrets through a pipe.
"""

import json
import os
import signal
import sys
from collections.abc import Collection, Mapping

_PIPE = "_DATASTORAGE_SECRETS"
"""Names the descriptor of the pipe to the process that reads it."""


def take_secrets(names: Collection[str]) -> Mapping[str, str]:
    """Return the secrets among the variables; a process that was started with them starts again without.

    A signal to end that arrives in between waits until the new start can heed it.
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
        _start_again(kept | {_PIPE: str(_pipe_with(json.dumps(found)))})
    return {}


def _pipe_with(text: str) -> int:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.set_blocking(writer, False)  # fail where more was given than a pipe holds, 64 KiB, and never hang
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        pipe.write(text)
    return reader


def _start_again(environ: Mapping[str, str]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.execve(sys.executable, sys.orig_argv, environ)  # noqa: S606 - ourselves
