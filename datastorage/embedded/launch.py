"""Become the server: leave root behind, ask to die with the parent, then exec.

``ServerProcess`` runs this file as a script between itself and the server. A ``preexec_fn`` would save the
20 ms of an interpreter, but Python code between fork and exec can deadlock in a parent with threads.
Only the standard library may be imported here: the script runs without site-packages.
"""

import ctypes
import os
import pwd
import signal
import sys
from enum import StrEnum

CANNOT_MAP_USER = 77
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


class RunAs(StrEnum):
    """Who the server is; PostgreSQL refuses to be root."""

    SELF = "self"
    """The user who starts it."""
    MAPPED = "mapped"
    """Root outside, ``nobody`` to the server: files stay root's and may lie below a 0700 home (Linux)."""
    NOBODY = "nobody"
    """The user ``nobody``, who must be able to reach the binaries and the data directory."""


def main(arguments: list[str]) -> None:
    """Replace this process by a command; arguments: who, death signal, pid of the parent, the command."""
    run_as, death_signal, parent, *command = arguments
    os.umask(0o077)
    _become(RunAs(run_as))
    _die_with(int(parent), int(death_signal))
    try:
        # Nothing of the caller's environment: PGDATA, TZ or LC_* must not change what is stored.
        os.execve(command[0], command, {"LC_ALL": "C", "TZ": "UTC"})  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _become(run_as: RunAs) -> None:
    if run_as is RunAs.SELF:
        return
    nobody = pwd.getpwnam("nobody")
    if run_as is RunAs.MAPPED:
        _map_to(nobody)
        return
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def _map_to(user: pwd.struct_passwd) -> None:
    """Enter a user namespace in which our own id is called ``user``."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or libc.unshare(_CLONE_NEWUSER) != 0:
        sys.exit(CANNOT_MAP_USER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user.pw_uid} {uid} 1")
    _write("/proc/self/gid_map", f"{user.pw_gid} {gid} 1")


def _write(path: str, text: str) -> None:
    try:
        # One write call: the kernel takes each of these files in one piece.
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs start-up time here
            file.write(text)
    except OSError:
        sys.exit(CANNOT_MAP_USER)


def _die_with(parent: int, death_signal: int) -> None:
    if sys.platform != "linux":
        return  # the lock of the data directory finds the orphan at the next start
    # After the change of user, which clears it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before it could be watched
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
