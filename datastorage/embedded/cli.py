"""``datastorage dev``: the whole service on one machine, from one command."""

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click
import urllib3

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.stack import Stack
from datastorage.platform.clock import monotonic_seconds, utc_now
from datastorage.settings import environment

HOST = "127.0.0.1"
START_SECONDS = 60
ASK_AGAIN_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1

DATA = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--port", default=8080, show_default=True, help="Port of the API.")
@click.option("--metrics-port", default=9090, show_default=True, help="Port of /metrics and /health.")
@click.option(
    "--data",
    type=DATA,
    default=Path(".datastorage"),
    envvar="DATASTORAGE_DEV_DATA",
    show_default=True,
    help="Folder of the databases; survives restarts.",
)
def dev(port: int, metrics_port: int, data: Path) -> None:
    """Start PostgreSQL, Redis and the service; Ctrl-C stops all three."""
    for wanted, option in ((port, "--port"), (metrics_port, "--metrics-port")):
        _refuse_busy(wanted, option)
    stack = Stack(data.resolve())
    with _stop_requested() as is_stopping:
        _announced("PostgreSQL, schema and Redis", stack.start)
        try:
            _serve(stack, port, metrics_port, is_stopping)
        finally:
            stack.stop()
            click.echo("Stopped PostgreSQL and Redis.")


class _StopFlag:
    """Raised by Ctrl-C or SIGTERM; nothing is interrupted half-way."""

    def __init__(self, woken: socket.socket) -> None:
        self.is_set = False
        self._woken = woken

    def set(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_set = True

    def wait(self, seconds: float | None = None) -> None:
        """Return when a signal comes, as it does when a child ends, or after so many seconds."""
        self._woken.settimeout(seconds)
        with suppress(TimeoutError):
            self._woken.recv(64)


@contextmanager
def _stop_requested() -> Iterator[_StopFlag]:
    woken, waker = socket.socketpair()
    with woken, waker:
        waker.setblocking(False)
        flag = _StopFlag(woken)
        # The end of a child wakes only where Python has a handler for it.
        handlers = {signal.SIGINT: flag.set, signal.SIGTERM: flag.set, signal.SIGCHLD: lambda *_: None}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        descriptor = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield flag
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)


def _refuse_busy(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} is in use: is another datastorage running? Choose another with {option}."
            raise click.ClickException(message) from error


def _announced(what: str, start: Callable[[], None]) -> None:
    click.echo(f"Starting {what} … ", nl=False)
    began = monotonic_seconds()
    try:
        start()
    except EmbeddedServerError as error:
        click.echo("failed")
        raise click.ClickException(str(error)) from error
    click.echo(f"done in {monotonic_seconds() - began:.1f} s")


def _serve(stack: Stack, port: int, metrics_port: int, stopping: _StopFlag) -> None:
    service = _launch(stack, port, metrics_port)
    try:
        _announced("the service", lambda: _wait_until_ready(service, port, stopping))
        if not stopping.is_set:
            _print_tour(stack, port, metrics_port)
        while not stopping.is_set and service.poll() is None:
            stopping.wait()
    finally:
        if service.poll() is None:
            click.echo("\nStopping the service …")
            service.send_signal(signal.SIGTERM)
        code = service.wait()
    if code != 0 and not stopping.is_set:
        raise click.ClickException(f"the service ended with exit code {code}")


def _launch(stack: Stack, port: int, metrics_port: int) -> "subprocess.Popen[bytes]":
    environ = dict(environment()) | {
        "DATASTORAGE_DATABASE_URL": stack.app_url,
        "DATASTORAGE_REDIS_URL": stack.redis.url,
        "DATASTORAGE_SERVER_HOST": HOST,
        "DATASTORAGE_SERVER_PORT": str(port),
        "DATASTORAGE_SERVER_METRICS_PORT": str(metrics_port),
        # Nobody balances traffic to a laptop: there is no endpoint whose removal has to propagate.
        "DATASTORAGE_SERVER_ENDPOINT_PROPAGATION_DELAY": "0s",
    }
    environ.setdefault("DATASTORAGE_LOGGING_FORMAT", "console")
    environ.setdefault("DATASTORAGE_LOGGING_LEVEL", "warn")
    return subprocess.Popen(
        [sys.executable, "-m", "datastorage", "serve"],
        env=environ,
        start_new_session=True,  # Ctrl-C is for this process, which then stops the service in good order
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread was started yet
    )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _wait_until_ready(service: "subprocess.Popen[bytes]", port: int, stopping: _StopFlag) -> None:
    http = urllib3.PoolManager(retries=False)
    deadline = monotonic_seconds() + START_SECONDS
    while not stopping.is_set and monotonic_seconds() < deadline:
        if service.poll() is not None:
            raise EmbeddedServerError(f"the service ended with exit code {service.returncode}")
        try:
            if http.request("GET", f"http://{HOST}:{port}/health/ready", timeout=2).status == 200:  # noqa: PLR2004
                return
        except urllib3.exceptions.HTTPError:
            pass
        stopping.wait(ASK_AGAIN_SECONDS)  # who does not listen yet can only be asked again
    if not stopping.is_set:
        raise EmbeddedServerError(f"the service was not ready within {START_SECONDS} s")


def _print_tour(stack: Stack, port: int, metrics_port: int) -> None:
    url = f"http://{HOST}:{port}"
    event = (
        '{"version":"1.0","event_type":"gateway.signal.received",'
        f'"event_timestamp":"{utc_now():%Y-%m-%dT%H:%M:%SZ}","event_category":"gateway",'
        '"event_action":"received","event_outcome":"success","correlation_id":"rr-hello",'
        '"event_data":{"alert_name":"EtcdHighCommitLatency"}}'
    )
    click.echo(f"""
  service      {url}
  API page     {url}/docs
  metrics      http://{HOST}:{metrics_port}/metrics
  PostgreSQL   {HOST}:{stack.postgres.port}
  Redis        {HOST}:{stack.redis.port}
  data         {stack.postgres.data_dir.parent}

Write an event and find it again:

  curl -s {url}/api/v1/audit/events -H 'Content-Type: application/json' -d '{event}'
  curl -s '{url}/api/v1/audit/events?correlation_id=rr-hello'

Ctrl-C stops everything.
""")
