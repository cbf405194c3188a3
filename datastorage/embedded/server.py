"""What both servers can do: start, stop, be killed or frozen, and start again."""

from abc import ABC, abstractmethod
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Self

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.process import ServerProcess, port_to_use


class EmbeddedServer(ABC):
    """A server on 127.0.0.1 whose data survive in ``data_dir``.

    Args:
        data_dir: created when missing; holds the data, the password and ``server.log``.
        port: TCP port; None takes a free one at each start.
        stop_signal: what asks the server for an orderly end.
    """

    def __init__(self, data_dir: Path, *, port: int | None, stop_signal: Signals) -> None:
        self.data_dir = data_dir.resolve()
        self._wanted_port = port
        self._port: int | None = port
        self._server = ServerProcess(self.data_dir, stop_signal)

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedServerError: no binaries, port or directory in use, or the server failed.
        """
        self._launch()
        self._server.wait_until_ready(self._is_ready)
        return self

    @abstractmethod
    def _launch(self) -> None:
        """Claim the directory, choose the port, write the configuration and start the process."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Tell whether the server answers."""

    def _choose_port(self) -> int:
        self._port = port_to_use(self._wanted_port)
        return self._port

    def stop(self) -> None:
        """End the server in good order, disconnecting clients; nothing happens when it is not running."""
        self._server.stop()

    def kill(self) -> None:
        """SIGKILL every process of the server; ``start`` works afterwards."""
        self._server.kill()

    def freeze(self) -> None:
        """Stop every process of the server; it keeps its connections and answers nothing."""
        self._server.freeze()

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._server.thaw()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._server.is_running

    @property
    def pid(self) -> int:
        """Process id of the running server, the parent of the others if it has several."""
        return self._server.pid

    @property
    def port(self) -> int:
        """TCP port of the last start, or the one asked for."""
        if self._port is None:
            raise EmbeddedServerError("the server has no port before its first start")
        return self._port
