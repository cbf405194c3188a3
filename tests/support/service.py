"""The service as users meet it: a process under gunicorn, reached over HTTP."""

import itertools
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from datastorage.settings import environment
from tests.support.guarded import chosen
from tests.support.http import Api
from tests.support.tls import Pair

READY_SECONDS = 60
REVISION = "3310e59"
"""What the service believes its image was built from."""


class ServiceProcess:
    """``datastorage serve`` with its own ports, log and runtime directory.

    Args:
        directory: for its log and runtime files.
        settings: environment variables without the prefix ``DATASTORAGE_``.
    """

    arguments: tuple[str, ...] = ("-m", "datastorage", "serve")
    """What Python is started with."""

    def __init__(self, directory: Path, database_url: str, redis_url: str, **settings: str) -> None:
        self.directory = directory
        self.database_url, self.redis_url = database_url, redis_url
        self.port, self.metrics_port = free_port(), free_port()
        guard = None if "AUTH_MODE" in settings else chosen()
        if guard is not None:
            settings = {**guard.settings, **settings}
        self._environ = environment_of_a_service() | {
            "DATASTORAGE_DATABASE_URL": database_url,
            "DATASTORAGE_REDIS_URL": redis_url,
            "DATASTORAGE_SERVER_HOST": "127.0.0.1",
            "DATASTORAGE_SERVER_PORT": str(self.port),
            "DATASTORAGE_SERVER_METRICS_PORT": str(self.metrics_port),
            "DATASTORAGE_SERVER_ENDPOINT_PROPAGATION_DELAY": "0s",
            "TMPDIR": str(directory / "runtime"),
            "IMAGE_REVISION": REVISION,
            **{f"DATASTORAGE_{name}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.api = Api(f"http://127.0.0.1:{self.port}", shown=guard.headers if guard else None)
        self.metrics_api = Api(f"http://127.0.0.1:{self.metrics_port}")

    def use_tls(self, pair: Pair, client: ssl.SSLContext) -> Self:
        """Serve the API by TLS, and reach it as ``client``."""
        self._environ |= {
            "DATASTORAGE_SERVER_TLS_CERT_FILE": str(pair.cert),
            "DATASTORAGE_SERVER_TLS_KEY_FILE": str(pair.key),
        }
        self.api = Api(f"https://127.0.0.1:{self.port}", client)
        return self

    @property
    def pid(self) -> int:
        """Process id of the arbiter."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the process wrote so far."""
        return (self.directory / "service.log").read_text(encoding="utf-8")

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """The complete lines of the log."""
        return [json.loads(line) for line in self.log.split("\n")[:-1]]

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Start with further environment variables, named in full."""
        self._environ |= variables

    @property
    def variables(self) -> Mapping[str, str]:
        """What the process is started with."""
        return self._environ

    def forget_variable(self, name: str) -> None:
        """Start without an environment variable that is set by default."""
        del self._environ[name]

    def start(self, *, ready: bool = True) -> Self:
        """Start, and wait until it is ready for traffic (or only alive)."""
        self.launch()
        self.wait_for("/health/ready" if ready else "/health/live")
        return self

    def launch(self) -> None:
        """Start, and return at once."""
        (self.directory / "runtime").mkdir(parents=True, exist_ok=True)
        with (self.directory / "service.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, *self.arguments],
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, path: str) -> None:
        """Return as soon as ``path`` answers 200."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            try:
                if self.api.get(path).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{path} did not answer 200 within {READY_SECONDS} s\n{self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the arbiter."""
        os.kill(self.pid, number)

    def wait(self, timeout_seconds: float = 60) -> int:
        """Return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def stop(self) -> int:
        """SIGTERM and wait; SIGKILL of the whole session if it does not end."""
        self.api.close()
        self.metrics_api.close()
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


# Below the ports of outgoing connections, one of which could take a port before its user binds it.
_PORTS = range(10_000, 32_000)
_untried = itertools.cycle(random.sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """Return a TCP port that nothing listens on right now, each time another one."""
    return next(port for port in _untried if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def environment_of_a_service() -> dict[str, str]:
    """Return our environment without our settings, and with a place for bytecode.

    Whoever runs the tests may have forbidden to write bytecode beside the sources. Without any, each
    process would spend two seconds on compiling the same libraries.
    """
    inherited = {name: value for name, value in environment().items() if not _is_ours(name)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    bytecode = Path(tempfile.gettempdir()) / f"datastorage-tests-bytecode-{os.getuid()}"
    return {"PYTHONPYCACHEPREFIX": str(bytecode)} | inherited


def _is_ours(name: str) -> bool:
    return name.startswith("DATASTORAGE_") or name in {"CONFIG_PATH", "PROMETHEUS_MULTIPROC_DIR", "TMPDIR"}
