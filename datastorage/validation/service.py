"""Check 8: the service starts."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import urllib3

from datastorage.platform.clock import monotonic_seconds
from datastorage.validation.subject import Broken, Subject

STOP_SECONDS = 5.0
EXCERPT_LINES = 5
_HOST = "127.0.0.1"


def start(subject: Subject, seconds: float) -> str:
    """Start the service on free ports, with one worker, and return how long it took to be alive.

    The metrics port is asked: clients of the API may need a certificate of their own.
    """
    port = _free_port()
    began = monotonic_seconds()
    http = urllib3.PoolManager(retries=False, timeout=1)
    with tempfile.TemporaryDirectory() as name, _running(subject, Path(name), port) as process:
        log = Path(name) / "log"
        while not _is_alive(http, port):
            if process.poll() is not None:
                fact = f"the service ended with exit code {process.returncode}: {_excerpt(log)}"
                raise Broken(fact, "correct what the line says, see docs/settings.md")
            if monotonic_seconds() > began + seconds - STOP_SECONDS:
                raise Broken(f"the service is not alive: {_excerpt(log)}", "read its log: datastorage serve")
            time.sleep(0.05)  # a service that does not listen yet can only be asked again
    return f"the service starts and answers /health/live after {monotonic_seconds() - began:.1f} s"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(subject: Subject, folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environ = dict(subject.environ) | {
        "DATASTORAGE_SERVER_HOST": _HOST,
        "DATASTORAGE_SERVER_PORT": str(_free_port()),
        "DATASTORAGE_SERVER_METRICS_PORT": str(port),
        "DATASTORAGE_SERVER_TLS_METRICS": "false",
        "DATASTORAGE_SERVER_WORKERS": "1",
        "DATASTORAGE_SERVER_ENDPOINT_PROPAGATION_DELAY": "0s",
        "DATASTORAGE_LOGGING_FORMAT": "json",
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "TMPDIR": str(folder),
    }
    config = [f"--config={subject.config_path}"] if subject.config_path is not None else []
    command = [sys.executable, "-m", "datastorage", *config, "serve"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_alive(http: urllib3.PoolManager, port: int) -> bool:
    try:
        return http.request("GET", f"http://{_HOST}:{port}/health/live").status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False


def _excerpt(log: Path) -> str:
    """Return the last errors of the log, or its last lines when it has none; secrets are not logged."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = []
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("level") == "error":
                errors.append(str(entry.get("msg")))
    return " | ".join((errors or lines)[-EXCERPT_LINES:]) or "it wrote nothing"
