"""The files of a PostgreSQL cluster: created by initdb, configured, owned by the user who runs the server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import CLEAN_ENVIRONMENT, RunAs, launch_command
from datastorage.embedded.lock import find_process
from datastorage.embedded.server import new_password, write_private

SUPERUSER = "postgres"
_INITDB_DEADLINE_SECONDS = 120.0
# Older macOS has no C.UTF-8; plain C sorts the same way.
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of one cluster.

    Attributes:
        directory: what PostgreSQL calls its data directory.
        password_file: where initdb reads the superuser's password.
        bin_dir: where ``initdb`` and ``postgres`` are.
        run_as: the user of the server.
    """

    directory: Path
    password_file: Path
    bin_dir: Path
    run_as: RunAs

    def prepare(self, settings: Mapping[str, str], lock: int) -> None:
        """Make everything ready for a start with ``settings``.

        Args:
            settings: lines of postgresql.conf, unquoted.
            lock: descriptor that initdb has to hold as long as it writes.

        Raises:
            EmbeddedServerError: initdb failed, or the user ``nobody`` cannot reach the files.
        """
        if self.run_as is RunAs.NOBODY:
            _require_reachable(self.bin_dir)
            _require_reachable(self.directory.parent)
        if not self.directory.exists():
            self._create(lock)
        _give_to(self.directory, self.run_as.owner)
        self._forget_reused_pid()
        # A file, not the command line: tools such as pg_rewind have to see the settings too.
        lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
        write_private(self.directory / "embedded.conf", "".join(lines), self.run_as.owner)

    def _create(self, lock: int) -> None:
        """Run initdb beside the final place: an interrupted one leaves no half cluster behind."""
        draft = self.directory.with_name("cluster.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _give_to(draft, self.run_as.owner)
        write_private(self.password_file, new_password(), self.run_as.owner)
        self._run_initdb(draft, lock)
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\ninclude_if_exists = 'embedded.conf'\n")
        draft.rename(self.directory)

    def _run_initdb(self, draft: Path, lock: int) -> None:
        command = [*CLEAN_ENVIRONMENT, str(self.bin_dir / "initdb"), "-D", str(draft), "-U", SUPERUSER]
        command += [f"--pwfile={self.password_file}", "-A", "scram-sha-256"]
        command += ["-E", "UTF8", f"--locale={_LOCALE}", "--data-checksums"]
        result = subprocess.run(  # noqa: S603 - our own command
            launch_command(command, self.run_as),
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            pass_fds=[lock],
            timeout=_INITDB_DEADLINE_SECONDS,
        )
        if result.returncode != 0:
            lines = result.stderr.splitlines()
            reason = next((line for line in lines if "error:" in line or "FATAL:" in line), " ".join(lines))
            raise EmbeddedServerError(f"initdb ended with status {result.returncode}: {reason}")

    def _forget_reused_pid(self) -> None:
        """Remove postmaster.pid when its pid belongs to another program now.

        We hold the lock, so our server is gone. PostgreSQL sees through a pid file whose process has ended,
        and gives up when that pid was given to something else.
        """
        pid_file = self.directory / "postmaster.pid"
        if pid_file.exists():
            holder = find_process(int(pid_file.read_text(encoding="utf-8").split(maxsplit=1)[0]))
            if holder is not None and holder.name() != "postgres":
                pid_file.unlink()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _give_to(directory: Path, owner: int) -> None:
    """Let ``owner`` have a tree; it changes hands only when root changes how the server runs."""
    if directory.stat().st_uid == owner:
        return
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, owner, -1, follow_symlinks=False)


def _require_reachable(path: Path) -> None:
    for folder in [path, *path.parents]:
        if not folder.stat().st_mode & 0o001:
            raise EmbeddedServerError(
                f"the server has to run as nobody, who cannot enter {folder}: "
                "use another place, or start it as a normal user"
            )
