"""The files of a PostgreSQL cluster: created by initdb, configured, owned by whoever runs the server."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import RunAs
from datastorage.embedded.process import launch_command, new_password, owner_of, write_private
from datastorage.embedded.process_table import running_processes

SUPERUSER = "postgres"
_INITDB_DEADLINE_SECONDS = 120.0
# Older macOS has no C.UTF-8; plain C sorts the same way.
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files below one data directory.

    Attributes:
        data_dir: holds ``cluster`` (PostgreSQL's own data directory) and ``password``.
        bin_dir: where ``initdb`` and ``postgres`` are.
        run_as: who the server is.
    """

    data_dir: Path
    bin_dir: Path
    run_as: RunAs

    @property
    def directory(self) -> Path:
        """What PostgreSQL calls its data directory."""
        return self.data_dir / "cluster"

    def prepare(self, settings: Mapping[str, str], lock: int) -> None:
        """Make everything ready for a start with ``settings``.

        Args:
            settings: lines of postgresql.conf, unquoted.
            lock: descriptor that initdb has to hold as long as it writes.

        Raises:
            EmbeddedServerError: initdb failed, a server nobody knows of runs, or nobody cannot get in.
        """
        if self.run_as is RunAs.NOBODY:
            _require_reachable(self.bin_dir)
            _require_reachable(self.data_dir)
        if not self.directory.exists():
            self._create(lock)
        _give_to(self.directory, owner_of(self.run_as))
        self._refuse_foreign_server()
        lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
        write_private(self.directory / "embedded.conf", "".join(lines), owner_of(self.run_as))

    def _create(self, lock: int) -> None:
        """Run initdb beside the final place: an interrupted one leaves no half cluster behind."""
        draft = self.data_dir / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _give_to(draft, owner_of(self.run_as))
        write_private(password_file(self.data_dir), new_password(), owner_of(self.run_as))
        self._run_initdb(draft, lock)
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\ninclude_if_exists = 'embedded.conf'\n")
        draft.rename(self.directory)

    def _run_initdb(self, draft: Path, lock: int) -> None:
        command = [str(self.bin_dir / "initdb"), "-D", str(draft), "-U", SUPERUSER]
        command += [f"--pwfile={password_file(self.data_dir)}", "-A", "scram-sha-256"]
        command += ["-E", "UTF8", f"--locale={_LOCALE}", "--data-checksums"]
        result = subprocess.run(  # noqa: S603 - our own command
            launch_command(command, self.run_as, signal.SIGTERM),
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            pass_fds=[lock],
            timeout=_INITDB_DEADLINE_SECONDS,
        )
        if result.returncode != 0:
            raise EmbeddedServerError(
                f"initdb ended with status {result.returncode}:\n{result.stderr.rstrip()}"
            )

    def _refuse_foreign_server(self) -> None:
        """Look at a leftover postmaster.pid.

        PostgreSQL itself sees through one whose process is gone. It gives up when the pid now belongs to
        some other program, so in that case the file has to go.
        """
        pid_file = self.directory / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text(encoding="utf-8").split(maxsplit=1)[0])
        holder = running_processes().get(pid)
        if holder is None:
            return
        if holder.name == "postgres":
            raise EmbeddedServerError(f"data directory {self.data_dir} is in use by process {pid}")
        pid_file.unlink()


def password_file(data_dir: Path) -> Path:
    """Return where the superuser's password is kept."""
    return data_dir / "password"


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
