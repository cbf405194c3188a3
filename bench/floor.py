"""Flask without the service: under gunicorn's own threaded worker, and under ours."""

from pathlib import Path

from bench.load import Request
from bench.wire import WireTarget
from datastorage.platform.server.cli import GUNICORN_CONFIGURATION
from datastorage.settings import ServerSettings
from tests.support.service import ServiceProcess

_VIEWS = "bench.views:application()"


class FlaskProcess(ServiceProcess):
    """The two views in as many processes and threads as the service has by default.

    Args:
        directory: for its log and runtime files.
        is_stock: under ``gthread``, otherwise under the service's own worker and configuration.
    """

    def __init__(self, directory: Path, database_url: str, redis_url: str, *, is_stock: bool) -> None:
        super().__init__(directory, database_url, redis_url)
        self.arguments = ("-m", "gunicorn", *(self._stock() if is_stock else self._ours()), _VIEWS)

    def _stock(self) -> tuple[str, ...]:
        server = ServerSettings()
        numbers = ("--workers", str(server.workers), "--threads", str(server.threads), "--keep-alive", "15")
        return (*numbers, "--worker-class", "gthread", "--bind", f"127.0.0.1:{self.port}")

    def _ours(self) -> tuple[str, ...]:
        return ("-c", GUNICORN_CONFIGURATION)

    def empty(self) -> WireTarget:
        """The view that only answers."""
        return WireTarget(self.api.url, [Request("GET", "/empty")])

    def echo(self, bodies: list[bytes]) -> WireTarget:
        """The view that reads a body and returns it."""
        return WireTarget(self.api.url, [Request("POST", "/echo", body) for body in bodies])
