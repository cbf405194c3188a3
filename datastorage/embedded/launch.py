"""Run a command so that it ends with us and need not be root: a script between ``Popen`` and the command.

A ``preexec_fn`` would save the 20 ms of an interpreter, but Python code between fork and exec can deadlock in
a parent with threads. Only the standard library may be imported here: the script runs without site-packages.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

CANNOT_MAP_USER = 77
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1

CLEAN_ENVIRONMENT = ("/usr/bin/env", "-i", "LC_ALL=C", "TZ=UTC")
"""Begins the command of a server: the caller's PGDATA, TZ or LC_* must not change what is stored."""


class RunAs(StrEnum):
    """Which user a server runs as; PostgreSQL refuses to run as root."""

    SELF = "self"
    """The user who starts it."""
    MAPPED = "mapped"
    """Root outside, ``nobody`` to the server: files stay root's and may lie below a 0700 home (Linux)."""
    NOBODY = "nobody"
    """The user ``nobody``, who must be able to reach the binaries and the data directory."""

    @property
    def owner(self) -> int:
        """The uid that has to own the files of the server."""
        return pwd.getpwnam("nobody").pw_uid if self is RunAs.NOBODY else os.geteuid()

    @classmethod
    def best_for(cls, binary: Path) -> "RunAs":
        """Choose how a server that refuses root can run here, by trying ``binary --version``."""
        if os.geteuid() != 0:
            return cls.SELF
        command = launch_command([str(binary), "--version"], cls.MAPPED)
        attempt = subprocess.run(command, check=False, capture_output=True, cwd="/")
        return cls.MAPPED if attempt.returncode == 0 else cls.NOBODY


def launch_command(
    command: Sequence[str], run_as: RunAs = RunAs.SELF, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Return what to execute so that ``command`` runs as ``run_as`` and gets the signal when we die."""
    script = [sys.executable, "-I", "-S", __file__]
    return [*script, run_as, str(int(death_signal)), str(os.getpid()), *command]


def main(arguments: Sequence[str]) -> None:
    """Replace this process by a command; arguments: user, death signal, pid of the parent, the command."""
    run_as, death_signal, parent, *command = arguments
    os.umask(0o077)
    match RunAs(run_as):
        case RunAs.MAPPED:
            _map_to(pwd.getpwnam("nobody"))
        case RunAs.NOBODY:
            _become(pwd.getpwnam("nobody"))
    _die_with(int(parent), int(death_signal))
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _become(user: pwd.struct_passwd) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _map_to(user: pwd.struct_passwd) -> None:
    """Enter a user namespace in which our own id is called ``user``."""
    uid, gid = os.geteuid(), os.getegid()
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(_CLONE_NEWUSER) != 0:
        sys.exit(CANNOT_MAP_USER)
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user.pw_uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{user.pw_gid} {gid} 1", encoding="ascii")
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
