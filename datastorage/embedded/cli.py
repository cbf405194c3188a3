"""``datastorage dev``: the whole service on one machine, from one command."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import FrameType

import click
import urllib3

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import launch_command
from datastorage.embedded.ledger_key import ORIGIN, ledger_key
from datastorage.embedded.lock import wait_until
from datastorage.embedded.server import HOST, port_to_use
from datastorage.embedded.stack import APP_ROLE, DATABASE, Stack
from datastorage.platform.clock import monotonic_seconds, utc_now
from datastorage.settings import environment

START_SECONDS = 60
LOWEST_PORT = 1024

DATA = click.Path(file_okay=False, path_type=Path)
PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--port", type=PORT, default=8080, show_default=True, help="Port of the API.")
@click.option(
    "--metrics-port", type=PORT, default=9090, show_default=True, help="Port of /metrics and /health."
)
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
    if port == metrics_port:
        raise click.UsageError(f"--port and --metrics-port are both {port}; choose two")
    for wanted, option in ((port, "--port"), (metrics_port, "--metrics-port")):
        _require_usable(wanted, option)
    stack = Stack(data.resolve())
    stop = _Stop()
    _announced("PostgreSQL, schema and Redis", stack.start)
    try:
        if not stop.is_requested:
            _serve(stack, port, metrics_port, stop)
    finally:
        stack.stop()
        click.echo("Stopped PostgreSQL and Redis.")


def _require_usable(port: int, option: str) -> None:
    if port < LOWEST_PORT:  # the service does not take these even where the system would allow it
        raise click.ClickException(f"not allowed to open port {port}; choose one above 1023 with {option}")
    try:
        port_to_use(port)
    except EmbeddedServerError as error:
        message = f"port {port} is in use: is another datastorage running? Choose another with {option}."
        raise click.ClickException(message) from error


class _Stop:
    """Requested by Ctrl-C or SIGTERM; ends the service, and interrupts nothing else half-way."""

    def __init__(self) -> None:
        self.is_requested = False
        self.service: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        if self.service is not None and not self.is_requested:
            # Unbuffered: a print may be interrupted by this very signal.
            os.write(sys.stdout.fileno(), "\nStopping the service …\n".encode())
            self.service.terminate()
        self.is_requested = True


def _announced(what: str, start: Callable[[], None]) -> None:
    click.echo(f"Starting {what} … ", nl=False)
    began = monotonic_seconds()
    try:
        start()
    except EmbeddedServerError as error:
        click.echo("failed")
        raise click.ClickException(str(error)) from error
    click.echo(f"done in {monotonic_seconds() - began:.1f} s")


def _serve(stack: Stack, port: int, metrics_port: int, stop: _Stop) -> None:
    service = subprocess.Popen(
        launch_command([sys.executable, "-m", "datastorage", "serve"]),
        env=_environ(stack, port, metrics_port),
        start_new_session=True,  # Ctrl-C is for this process, which then stops the service in good order
    )
    stop.service = service
    if stop.is_requested:  # while it was being started
        service.terminate()
    try:
        _announced("the service", lambda: _wait_until_ready(service, port, stop))
        if not stop.is_requested:
            _print_tour(stack, port, metrics_port)
        code = service.wait()
    finally:
        service.terminate()
        service.wait()
    if code != 0 and not stop.is_requested:
        raise click.ClickException(f"the service ended with exit code {code}")


def _environ(stack: Stack, port: int, metrics_port: int) -> dict[str, str]:
    return {
        "DATASTORAGE_LOGGING_FORMAT": "console",
        "DATASTORAGE_LOGGING_LEVEL": "warn",
        # What asks for a named caller can be tried without tokens.
        "DATASTORAGE_AUTH_ANONYMOUS_NAME": "dev",
        "DATASTORAGE_LEDGER_ORIGIN": ORIGIN,
        "DATASTORAGE_LEDGER_SIGNING_KEY_FILE": str(ledger_key(stack.data_dir)),
        **environment(),
        "DATASTORAGE_DATABASE_URL": stack.postgres.url(DATABASE, user=APP_ROLE),
        "DATASTORAGE_REDIS_URL": stack.redis.url,
        "DATASTORAGE_SERVER_HOST": HOST,
        "DATASTORAGE_SERVER_PORT": str(port),
        "DATASTORAGE_SERVER_METRICS_PORT": str(metrics_port),
        # No load balancer sends traffic to a laptop: there is no endpoint whose removal has to propagate.
        "DATASTORAGE_SERVER_ENDPOINT_PROPAGATION_DELAY": "0s",
    }


def _wait_until_ready(service: subprocess.Popen[bytes], port: int, stop: _Stop) -> None:
    http = urllib3.PoolManager(retries=False, timeout=2)

    def is_ready() -> bool:
        try:
            return http.request("GET", f"http://{HOST}:{port}/health/ready").status == HTTPStatus.OK
        except urllib3.exceptions.HTTPError:
            return False

    is_decided = wait_until(lambda: service.poll() is not None or is_ready(), START_SECONDS)
    if service.returncode is not None and not stop.is_requested:
        raise EmbeddedServerError(f"the service ended with exit code {service.returncode}")
    if not is_decided:
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
  data         {stack.data_dir}

Write an event and find it again:

  curl -s {url}/api/v1/audit/events -H 'Content-Type: application/json' -d '{event}'
  curl -s '{url}/api/v1/audit/events?correlation_id=rr-hello'

Ctrl-C stops everything.
""")
